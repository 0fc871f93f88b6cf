"""Tells Quiesce which calls of an RPC-style API read and which write."""

from __future__ import annotations

from quiesce import OperationType, RequestInfo, hookimpl

RPC_CALL = OperationType(
    "rpc_call",
    description="Calls of the RPC API that may change something",
    message="This call is paused during maintenance.",
)

READING_CALLS = frozenset({"/rpc/getUser", "/rpc/listUsers"})


@hookimpl
def operation_types() -> list[OperationType]:
    """Make the new type known, so that operators can name it: ``quiesce enable --block rpc_call``."""
    return [RPC_CALL]


@hookimpl
def classify_operation(request: RequestInfo) -> OperationType | None:
    """Judge by the path: in this API every call is a POST, and a search is one too."""
    if request.path in READING_CALLS or (request.path, request.method) == ("/search", "POST"):
        return OperationType.READ_OPERATIONS
    if request.path.startswith("/rpc/"):
        return RPC_CALL
    return None
