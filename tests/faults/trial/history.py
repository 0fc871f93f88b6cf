"""The recorded facts of a trial: written by the processes that know them, one JSON line a fact, read afterwards."""

from __future__ import annotations

import errno
import json
import os
import resource
import time
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

F = TypeVar("F")


def now() -> float:
    """Return the seconds of the clock that all processes of a machine share and that no step moves."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


class Outcome(StrEnum):
    """What became of a command: done, refused by a conflict, nothing to do, or nobody knows."""

    DONE = "done"
    CONFLICT = "conflict"
    NOTHING = "nothing"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Began:
    """A view has begun; ``kind`` is ``write`` or ``read``."""

    at: float
    pid: int
    op: str
    kind: str
    is_admin: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A view is about to return, or its stream to end."""

    at: float
    pid: int
    op: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Died:
    """A process is gone; it was seen alive at ``alive_at`` for the last time."""

    alive_at: float
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the client saw of one request: ``status`` 0 when no answer came; ``pid`` 0 when the answer named none."""

    op: str
    kind: str
    is_admin: bool
    machine: str
    sent: float
    received: float
    status: int
    is_refusal: bool
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A command to open a window; ``reason`` is no other command's, ``window`` is empty unless it was done."""

    asked: float
    returned: float
    by: str
    outcome: Outcome
    mode: str
    reason: str
    window: str
    holds_until: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """A command to end one window, or all when ``target`` is empty; ``ended`` are those that it did end."""

    asked: float
    returned: float
    by: str
    outcome: Outcome
    target: str
    ended: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extending:
    """A command to extend a window by a span that is no other command's."""

    asked: float
    returned: float
    by: str
    outcome: Outcome
    window: str
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A report on quiescence while ``window`` was open; ``holds_until`` by the clock of this history."""

    asked: float
    answered: float
    by: str
    window: str
    mode: str
    revision: int
    is_quiesced: bool
    holds_until: float | None
    confirmed: tuple[int, ...]
    unconfirmed: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What the nemesis did: whom it cut off from the store, and whether the store lost what it held.

    It was being done from ``began`` on, was whole from ``held_from`` until ``held_until``, and was healed at ``ended``.
    """

    began: float
    held_from: float
    held_until: float
    ended: float
    name: str
    cuts: tuple[str, ...] = ()
    is_loss: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """From ``at`` on everything is disabled, and the store lists these processes."""

    at: float
    pids: tuple[int, ...]


Fact = Began | Ended | Died | Request | Opening | Ending | Extending | Verdict | Fault | Closing

_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (Began, Ended, Died, Request, Opening, Ending, Extending, Verdict, Fault, Closing)
}


@dataclass(frozen=True, slots=True)
class History:
    """All facts of a trial."""

    facts: tuple[Fact, ...]

    def of(self, kind: type[F]) -> list[F]:
        """Return the facts of a kind, as they were read."""
        return [fact for fact in self.facts if isinstance(fact, kind)]


class Recorder:
    """Appends facts to a file of this process; a forked child writes to its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pid = 0
        self._descriptor = -1

    def record(self, fact: Fact) -> None:
        """Write one line, whole, before this returns."""
        if os.getpid() != self._pid:
            path = self._folder / f"{os.getpid()}.jsonl"
            self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._pid = os.getpid()  # last: another thread may look meanwhile
        line = json.dumps({"fact": type(fact).__name__, **asdict(fact)}).encode() + b"\n"
        try:
            os.write(self._descriptor, line)
        except OSError as exc:
            if exc.errno != errno.EFBIG:
                raise
            self._write_beyond_ration(line)

    def _write_beyond_ration(self, line: bytes) -> None:
        # The nemesis rations what this process may write, and means the store, not its witness.
        ration, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        try:
            os.write(self._descriptor, line)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (ration, most))


def read_history(folder: Path) -> History:
    """Return what all processes have recorded."""
    lines = (line for path in sorted(folder.glob("*.jsonl")) for line in path.read_text(encoding="utf-8").splitlines())
    return History(tuple(_decode(json.loads(line)) for line in lines))


def _decode(document: dict[str, Any]) -> Fact:
    kind = _KINDS[document.pop("fact")]
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in document.items()
    }
    if "outcome" in values:
        values["outcome"] = Outcome(values["outcome"])
    fact: Fact = kind(**values)
    return fact
