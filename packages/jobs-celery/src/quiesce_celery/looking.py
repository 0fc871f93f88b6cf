"""Reading what the broker holds of workers, of what runs, and of what waits, without moving anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from quiesce import Settings

from .broker import Broker
from .notes import SILENT_SECONDS, Report, Run

SOURCE = "celery"
_MOST_QUEUES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the broker held at one moment.

    Attributes:
        hold: the hold in force; empty: work is not held back.
        workers: that are heard of.
        silent: that are not heard of any more, and are not known to be gone.
        strangers: workers that listen to Celery and tell nothing to Quiesce.
        listed: the names that Celery itself lists.
        runs: what runs, but for processes that are known to be gone.
        lost: what ran in those, since work is held back.
        unacknowledged: messages that were fetched and are not acknowledged.
    """

    hold: str
    workers: tuple[Report, ...]
    silent: tuple[Report, ...]
    strangers: int
    listed: frozenset[str]
    runs: tuple[Run, ...]
    lost: tuple[Run, ...]
    unacknowledged: int


def look(broker: Broker) -> Seen:
    """Look, in one round trip."""
    topic, nobody = broker.probe()
    binding = broker.theirs(broker.channel.keyprefix_queue % broker.control_exchange)
    with broker.redis.pipeline(transaction=True) as pipeline:
        pipeline.time()
        pipeline.get(broker.ours("held"))
        pipeline.hgetall(broker.ours("workers"))
        pipeline.hgetall(broker.ours("seen"))
        pipeline.hvals(broker.ours("running"))
        pipeline.hvals(broker.ours("lost"))
        pipeline.hlen(broker.theirs(broker.channel.unacked_key))
        pipeline.smembers(binding)
        pipeline.publish(topic, nobody)
        found: list[Any] = pipeline.execute()
    (now, _), held, said, seen, running, reaped, unacknowledged, bound, listening = found
    reports = [Report.decode(body) for body in said.values()]
    ages = {report.incarnation: now - int(seen.get(report.incarnation.encode(), 0)) for report in reports}
    gone_after = Settings.load().worker_gone_after.total_seconds()
    workers = tuple(each for each in reports if ages[each.incarnation] <= SILENT_SECONDS)
    silent = tuple(
        each for each in reports if SILENT_SECONDS < ages[each.incarnation] <= gone_after and not each.is_gone
    )
    forgotten = {each.incarnation for each in reports if ages[each.incarnation] > gone_after}
    runs = [Run.decode(body) for body in running]
    lost = [run for run in runs if run.incarnation in forgotten or run.is_gone]
    return Seen(
        hold=held.decode() if held else "",
        workers=workers,
        silent=silent,
        # A stopped worker listens still, so that it is not taken for a stranger.
        strangers=max(listening - sum(1 for each in (*workers, *silent) if each.is_listening), 0),
        listed=frozenset(_node(each) for each in bound),
        runs=tuple(run for run in runs if run not in lost),
        lost=(*lost, *(Run.decode(body) for body in reaped)),
        unacknowledged=unacknowledged,
    )


def count_waiting(broker: Broker, seen: Seen) -> int:
    """Return how many messages wait in the queues that the application or a worker knows."""
    names = {str(name) for name in broker.app.amqp.queues}
    names |= {name for worker in seen.workers for name in worker.queues}
    with broker.redis.pipeline(transaction=False) as pipeline:
        for name in sorted(names)[:_MOST_QUEUES]:
            for list_ in broker.lists(name):
                pipeline.llen(list_)
        return sum(pipeline.execute())


def _node(member: bytes) -> str:
    """Return the worker's name in a binding of its mailbox: routing key, pattern and queue, with a separator."""
    queue = member.decode("utf-8", "replace").rpartition("\x06\x16")[2]
    return queue.rpartition(".")[0].rpartition(".")[0]
