"""Lets stores put their house in order around a fork."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol


class ForkAware(Protocol):
    """What must know of a fork; none of these may raise."""

    def before_fork(self) -> None:
        """Let go of what a child must not inherit; runs in the thread that forks."""

    def after_fork_in_parent(self) -> None:
        """Go on."""

    def after_fork_in_child(self) -> None:
        """Go on with locks of its own; the other threads are gone. Runs also when ``before_fork`` did not."""


_forking = threading.RLock()
_watched: dict[int, weakref.ref[ForkAware]] = {}
_prepared: list[ForkAware] = []
_hooked = False


def watch(target: ForkAware) -> None:
    """Call the target's methods around every fork, for as long as it lives."""
    global _hooked  # noqa: PLW0603 - the interpreter keeps at-fork hooks for good, so they are set once
    key = id(target)
    with _forking:
        _watched[key] = weakref.ref(target, lambda _: _watched.pop(key, None))
        if not _hooked:
            os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
            _hooked = True


def _before() -> None:
    _forking.acquire()
    for reference in tuple(_watched.values()):
        target = reference()
        if target is not None:
            _prepared.append(target)
            target.before_fork()


def _after_in_parent() -> None:
    while _prepared:
        _prepared.pop().after_fork_in_parent()
    _forking.release()


def _after_in_child() -> None:
    global _forking  # noqa: PLW0603 - uWSGI forks without _before, with this lock in any state
    _forking = threading.RLock()
    _prepared.clear()
    for reference in tuple(_watched.values()):
        target = reference()
        if target is not None:
            target.after_fork_in_child()
