"""Calls plugins side by side, each isolated and each with a timeout."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterable
from time import monotonic

from .results import HookResult

MOST_LEFT_BEHIND = 8
"""So many calls of one plugin and hook may hang at once; it is not called again before one of them has ended."""

_left_behind: dict[tuple[str, str], list[threading.Thread]] = {}


def call_all(
    calls: Iterable[tuple[str, Callable[[], object]]],
    *,
    hook: str,
    timeout_seconds: float,
    most_left_behind: int = MOST_LEFT_BEHIND,
) -> tuple[HookResult, ...]:
    """Run every call in a daemon thread of its own and return a result for each, in the order given.

    Returns when all are done, at the latest a little after the timeout. A call that hangs is left behind: Python
    cannot stop a thread, and a daemon thread does not keep the process from ending.

    Args:
        calls: name of the plugin and what to call.
        hook: named in the threads' names.
        timeout_seconds: for each call.
        most_left_behind: how many calls of one plugin may hang before it is not called again.
    """
    running = [_Call(plugin, function, hook=hook, most_left_behind=most_left_behind) for plugin, function in calls]
    deadline = monotonic() + timeout_seconds
    return tuple(call.result(deadline=deadline, timeout_seconds=timeout_seconds) for call in running)


class _Call:
    def __init__(self, plugin: str, function: Callable[[], object], *, hook: str, most_left_behind: int) -> None:
        self._plugin = plugin
        self._function = function
        self._done = threading.Event()
        self._error: str | None = None
        self._answer: object = None
        self._exception: BaseException | None = None
        self._started = self._ended = monotonic()
        self._key = (hook, plugin)
        self._thread = threading.Thread(target=self._run, name=f"quiesce-{hook}-{plugin}", daemon=True)
        hanging = [thread for thread in _left_behind.pop(self._key, ()) if thread.is_alive()]
        if hanging:
            _left_behind[self._key] = hanging
        if len(hanging) >= most_left_behind:
            self._error = f"was not called: {len(hanging)} earlier calls of it still hang"
            self._done.set()
            return
        try:
            self._thread.start()
        except RuntimeError as exc:
            self._error = f"no thread could be started: {exc}"
            self._done.set()

    def _run(self) -> None:
        try:
            answer = self._function()
            self._error = discard_awaitable(answer)
            self._answer = None if self._error else answer
        except BaseException as exc:  # noqa: BLE001 -- a plugin is called here, and its SystemExit is a failure too
            self._error, self._exception = describe(exc), exc
        finally:
            self._ended = monotonic()
            self._done.set()

    def result(self, *, deadline: float, timeout_seconds: float) -> HookResult:
        if not self._done.wait(max(0.0, deadline - monotonic())):
            _left_behind.setdefault(self._key, []).append(self._thread)
            error = f"timed out after {timeout_seconds:g} s and was left behind"
            return HookResult(self._plugin, ok=False, seconds=monotonic() - self._started, error=error)
        seconds = self._ended - self._started
        return HookResult(self._plugin, self._error is None, seconds, self._error, self._answer, self._exception)


def describe(exc: BaseException) -> str:
    """Return an error in one bounded line, whatever its own ``__str__`` does."""
    try:
        text = str(exc)
    except Exception:  # noqa: BLE001 -- the error is a plugin's own class
        text = "(its text cannot be read)"
    return f"{type(exc).__name__}: {text!r:.300}" if text else type(exc).__name__


def discard_awaitable(answer: object) -> str | None:
    """Return what is wrong with an answer that nobody will await, after closing it; ``None`` for any other answer."""
    if inspect.iscoroutine(answer):
        answer.close()
    elif inspect.isasyncgen(answer) or inspect.isgenerator(answer):
        pass
    elif not inspect.isawaitable(answer):
        return None
    return f"returned a {type(answer).__name__}; hooks are synchronous"
