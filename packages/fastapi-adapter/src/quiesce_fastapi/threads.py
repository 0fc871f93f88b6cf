"""Runs what may block in threads of its own, so that a busy application cannot keep it waiting."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar

T = TypeVar("T")

_MOST_THREADS = 16

_limiters: tuple[RunVar[CapacityLimiter], RunVar[CapacityLimiter]] = (
    RunVar("quiesce_gate_threads"),
    RunVar("quiesce_api_threads"),
)


async def in_gate_thread(function: Callable[..., T], *args: object) -> T:
    """Run what a request waits for at the gate."""
    return await to_thread.run_sync(function, *args, limiter=_limiter(_limiters[0]))


async def in_api_thread(function: Callable[..., T], *args: object) -> T:
    """Run one of the product's own endpoints; a flood of these keeps no request waiting at the gate."""
    return await to_thread.run_sync(function, *args, limiter=_limiter(_limiters[1]))


def _limiter(variable: RunVar[CapacityLimiter]) -> CapacityLimiter:
    """Return the limiter of this event loop."""
    try:
        return variable.get()
    except LookupError:
        limiter = CapacityLimiter(_MOST_THREADS)
        variable.set(limiter)
        return limiter
