"""Marks on views: put on once, found through whatever a framework wraps around."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from quiesce.gate.marks import operation, operation_of
from quiesce.model import InvalidValueError, OperationType


@operation("payments")
def plain() -> str:
    return "plain"


@operation(OperationType.JOB_CREATION)
async def coroutine() -> str:
    return "async"


def logged(view: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(view)
    def wrapper(*args: Any) -> Any:
        return view(*args)

    return wrapper


@operation("payments")
class Page:
    @operation("job_creation")
    def post(self) -> None: ...

    def get(self) -> None: ...

    @operation("payments")
    def __call__(self) -> None: ...


class Handlers:
    @operation("payments")
    def pay(self) -> None: ...

    def look(self) -> None: ...


def test_marked_view_is_returned_unchanged() -> None:
    """Frameworks look at a view's signature and kind."""

    def view() -> str:
        return "x"

    assert operation("payments")(view) is view
    assert view() == "x"


def as_view(page: type) -> Callable[[], None]:
    def view() -> None: ...

    view.view_class = page  # type: ignore[attr-defined]  # as Flask does it
    return view


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (plain, "payments"),
        (coroutine, OperationType.JOB_CREATION),
        (logged(logged(plain)), "payments"),
        (functools.partial(plain), "payments"),
        (functools.partial(logged(plain), 1), "payments"),
        (Handlers().pay, "payments"),
        (Handlers().look, None),
        (Page, "payments"),
        (as_view(Page), "payments"),
        (logged(as_view(Page)), "payments"),
        (lambda: None, None),
        (None, None),
        (print, None),
        (42, None),
    ],
)
def test_mark_is_found(view: object, expected: object) -> None:
    """A mark that is lost behind a decorator protects nothing."""
    assert operation_of(view) == expected


@pytest.mark.parametrize(
    ("method", "expected"),
    [("POST", "job_creation"), ("GET", "payments"), ("DELETE", "payments"), ("__call__", "payments")],
)
def test_handler_of_the_method_counts_before_its_class(method: str, expected: str) -> None:
    """Class-based views are marked at the method that writes."""
    assert operation_of(as_view(Page), method=method) == expected


def test_head_runs_what_get_runs() -> None:
    """A marked ``get`` must not be reachable unmarked."""

    class View:
        @operation("payments")
        def get(self) -> None: ...

    assert operation_of(as_view(View), method="HEAD") == "payments"


def test_outer_mark_counts() -> None:
    """What is nearest to the framework was written last."""
    outer = operation("job_creation")(logged(plain))

    assert operation_of(outer) == "job_creation"


def test_chain_without_end_ends() -> None:
    """A view that claims to wrap itself must not hang the start."""

    def view() -> None: ...

    view.__wrapped__ = view  # type: ignore[attr-defined]  # that it refers to itself is the point

    assert operation_of(view) is None


@pytest.mark.parametrize("given", ["Payments", "", "a b", None, plain])
def test_mark_that_names_no_type_is_refused(given: Any) -> None:
    """``@operation`` without parentheses would otherwise swallow the view."""
    with pytest.raises(InvalidValueError):
        operation(given)


def test_view_that_cannot_be_marked_is_refused() -> None:
    """Marking a bound method would mark nothing."""
    with pytest.raises(InvalidValueError, match="add a rule"):
        operation("payments")(Handlers().look)
