"""``@operation``: a view says itself which type of operation it is."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TypeVar

from ..model import InvalidValueError, OperationType

View = TypeVar("View", bound=Callable[..., object])

_MARK = "__quiesce_operation__"
_MAX_LAYERS = 100


def operation(name_or_type: str | OperationType) -> Callable[[View], View]:
    """Mark a view, function or class, sync or async, as this type of operation; the view itself comes back.

    Place it under the framework's own decorator (``@app.post(…)``), which must see the marked view.

    Raises:
        InvalidValueError: it is neither a type nor fit to be the name of one, or the view cannot be marked.
    """
    given: object = name_or_type
    if not isinstance(given, (str, OperationType)):
        raise InvalidValueError("operation", f"write @operation('name'), not @operation on {given!r:.80}")
    if isinstance(given, str):
        OperationType(given)

    def mark(view: View) -> View:
        try:
            setattr(view, _MARK, name_or_type)
        except (AttributeError, TypeError) as exc:
            raise InvalidValueError("operation", f"{view!r:.80} cannot be marked; add a rule for its path") from exc
        return view

    return mark


def operation_of(view: object, *, method: str | None = None) -> str | OperationType | None:
    """Return what the view was marked as, or ``None``.

    Looks through decorators that set ``__wrapped__``, partials, bound methods and the classes of class-based views;
    the outermost mark counts.

    Args:
        view: a function, method, class or callable object.
        method: the HTTP method; the handler of this method in a class-based view counts before the class.
    """
    layer: object | None = view
    for _ in range(_MAX_LAYERS):
        if layer is None:
            return None
        found = _mark_of_handler(layer, method) or getattr(layer, _MARK, None)
        if isinstance(found, (str, OperationType)):
            return found
        layer = _beneath(layer)
    return None


def _mark_of_handler(layer: object, method: str | None) -> str | OperationType | None:
    if method is None or not inspect.isclass(layer):
        return None
    handler = getattr(layer, method.lower(), None)
    if handler is None and method == "HEAD":
        handler = getattr(layer, "get", None)
    return None if handler is None else operation_of(handler)


def _beneath(layer: object) -> object | None:
    if isinstance(layer, functools.partial):
        return layer.func
    for name in ("view_class", "__func__", "__wrapped__"):
        inner: object | None = getattr(layer, name, None)
        if inner is not None:
            return inner
    return None
