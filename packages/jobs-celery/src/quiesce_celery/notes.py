"""What workers write into Redis: what each of them is doing, and which task runs in which process."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from . import processes

SILENT_SECONDS = 3.0
"""A worker that has said nothing for so long is not known any more."""
BEAT_SECONDS = 0.4
KEPT_SECONDS = 30 * 24 * 3600
"""How long Redis remembers what was ended, what was put back, and which messages are not to run again."""
KILLING_POOLS = frozenset({"prefork"})
KNOWN_POOLS = KILLING_POOLS | {"solo", "thread"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a worker says of itself, again and again.

    Attributes:
        node: Celery's name of it.
        incarnation: tells it from others of the same name.
        machine: where its process is.
        pid: of its main process.
        began: when that process began.
        pool: of which kind.
        is_listening: whether it can be remote-controlled.
        held: the hold that it has carried out; empty: none.
        reserved: tasks that it has taken and not begun.
        active: tasks that its pool works on.
        queues: from which it takes tasks, or would.
    """

    node: str
    incarnation: str
    machine: str
    pid: int
    began: str
    pool: str
    is_listening: bool
    held: str = ""
    reserved: int = 0
    active: int = 0
    queues: tuple[str, ...] = ()

    def encode(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, body: bytes | str) -> Self:
        """Return what ``encode`` wrote."""
        raw = _known(cls, body)
        return cls(**{**raw, "queues": tuple(raw["queues"])})

    @property
    def is_gone(self) -> bool:
        """Whether it is known that the process has ended."""
        return processes.is_gone(self.machine, self.pid, self.began)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A task that runs, written down by the process in which it does, before it begins.

    Attributes:
        key: tells this run from all others.
        id: the task's.
        name: the task's.
        queue: where its message came from.
        list: the key of the list in which its message waited.
        tag: the message's own; the same when it is delivered again.
        node: the worker.
        incarnation: the worker's.
        machine: where the process is.
        pid: of the process.
        began: when that process began.
        pool: kind of the worker's.
        is_late: whether the message is acknowledged only after the run.
    """

    key: str
    id: str
    name: str
    queue: str
    list: str
    tag: str
    node: str
    incarnation: str
    machine: str
    pid: int
    began: str
    pool: str
    is_late: bool

    def encode(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, body: bytes | str) -> Self:
        """Return what ``encode`` wrote."""
        return cls(**_known(cls, body))

    @property
    def is_gone(self) -> bool:
        """Whether it is known that its process has ended."""
        return processes.is_gone(self.machine, self.pid, self.began)


def _known(cls: type[Report | Run], body: bytes | str) -> dict[str, Any]:
    """Return what of a note this version knows: workers of a newer one may have written it."""
    known = {field.name for field in fields(cls)}
    raw: dict[str, Any] = json.loads(body)
    return {name: value for name, value in raw.items() if name in known}


def restored_id(id_: str, tag: str) -> str:
    """Return the id under which a task is put back: it follows from the task's and from its message's."""
    digest = hashlib.sha256(f"{id_}\x00{tag}".encode()).hexdigest()
    return f"{id_}-restored-{digest[:10]}"
