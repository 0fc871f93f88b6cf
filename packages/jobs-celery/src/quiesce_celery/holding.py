"""Holding work back: the door closes at once, and workers cancel their consumers and give back what they fetched."""

from __future__ import annotations

import time
import uuid

from .broker import Broker
from .looking import look

_WAIT_SECONDS = 5.0
_STEP_SECONDS = 0.05


def close(broker: Broker) -> None:
    """Hold back; may be repeated. Gives up waiting for workers to have carried it out after some seconds."""
    broker.redis.set(broker.ours("held"), uuid.uuid4().hex, nx=True)
    deadline = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < deadline:
        seen = look(broker)
        if all(worker.held == seen.hold for worker in seen.workers):
            return
        time.sleep(_STEP_SECONDS)


def open_(broker: Broker) -> None:
    """Let go; may be repeated."""
    broker.redis.delete(*(broker.ours(name) for name in ("held", "stopping", "asked", "lost")))
