"""The contract suite of classifier plugins: the example keeps it, and each way to break it is found."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest

from quiesce import InvalidValueError, OperationType, RequestInfo, hookimpl
from quiesce.testing import ClassifierContract

EXAMPLE = Path(__file__).parents[2] / "examples/classifier-plugin/src/quiesce_rpc_classifier/__init__.py"


def _example() -> ModuleType:
    spec = spec_from_file_location("quiesce_rpc_classifier", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class TestExample(ClassifierContract):
    """The example plugin, from its source, installed or not."""

    plugin = _example()
    reads = (("POST", "/rpc/getUser"), ("POST", "/search"))
    writes = (("POST", "/rpc/deleteUser"), ("GET", "/rpc/deleteUser"))
    expected = (("POST", "/rpc/renameUser", "rpc_call"),)
    foreign = (("GET", "/search"), ("POST", "/rpcs"))


class Plugin:
    """Made of one function."""

    def __init__(self, answer: Callable[[RequestInfo], Any]) -> None:
        self._answer = answer

    @hookimpl
    def classify_operation(self, request: RequestInfo) -> Any:
        return self._answer(request)


def suite(answer: Callable[[RequestInfo], Any], **tables: Any) -> ClassifierContract:
    tables.setdefault("reads", (("POST", "/own"),))
    made = type("Suite", (ClassifierContract,), {"plugin": Plugin(answer), **tables})()
    return cast("ClassifierContract", made)


async def _late() -> str:
    return "read_operations"


def _own(request: RequestInfo) -> str | None:
    return "read_operations" if request.path.startswith("/own") else None


def _fickle() -> Callable[[RequestInfo], str | None]:
    answers = iter(["read_operations", "job_creation"] * 100_000)
    return lambda request: next(answers) if request.path.startswith("/own") else None


def _backtracking(request: RequestInfo) -> str | None:
    re.search("a*a*a*!", request.path[:300])
    return _own(request)


def _fragile(request: RequestInfo) -> str | None:
    request.path.encode()
    return _own(request)


@pytest.mark.parametrize(
    ("promise", "broken"),
    [
        ("test_some_table_is_filled_in", suite(_own, reads=())),
        ("test_reads_are_read_operations", suite(lambda _: "job_creation")),
        ("test_reads_are_read_operations", suite(lambda _: _late())),
        ("test_reads_are_read_operations", suite(lambda _: 42)),
        ("test_reads_are_read_operations", suite(lambda _: "unheard_of")),
        ("test_writes_are_refused_in_normal_maintenance", suite(_own, writes=(("POST", "/own/x"),))),
        ("test_writes_are_refused_in_normal_maintenance", suite(_own, writes=(("POST", "/other"),))),
        ("test_expected_types_are_given", suite(_own, expected=(("POST", "/own", "job_creation"),))),
        ("test_foreign_paths_are_left_to_others", suite(lambda _: OperationType.READ_OPERATIONS)),
        ("test_same_request_gets_same_answer", suite(_fickle())),
        ("test_long_path_is_answered_fast", suite(_backtracking)),
        ("test_hostile_path_does_no_harm", suite(_fragile)),
        ("test_hostile_path_does_no_harm", suite(_fickle())),
    ],
)
def test_broken_promise_is_found(promise: str, broken: ClassifierContract) -> None:
    """A suite that lets a faulty plugin pass gives its author false confidence."""
    with pytest.raises((AssertionError, InvalidValueError, UnicodeEncodeError)):
        getattr(broken, promise)()


@pytest.mark.parametrize("promise", [name for name in dir(ClassifierContract) if name.startswith("test_")])
def test_kept_promise_is_not_complained_about(promise: str) -> None:
    """A suite that complains about nothing in particular gets skipped."""
    getattr(suite(_own, foreign=(("POST", "/x"),)), promise)()
