"""From where a change is made: the machine of this process and, over HTTP, the address of the client."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_client: ContextVar[str] = ContextVar("quiesce_client", default="")
"""Set while a command that came over HTTP is carried out; no command of Python has to hand it through."""


@contextmanager
def acting_for(client: str) -> Iterator[None]:
    """Have what is changed meanwhile, on this thread, stand in the audit trail as from this client."""
    token = _client.set(client[:100])
    try:
        yield
    finally:
        _client.reset(token)


def origin() -> str:
    """Return what the audit trail says of where a change was made: ``MACHINE``, or ``ADDRESS via MACHINE``."""
    machine, client = os.uname().nodename, _client.get()
    return f"{client} via {machine}" if client else machine
