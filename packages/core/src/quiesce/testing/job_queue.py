"""The contract suite for plugins of job queues."""
# ruff: noqa: S101 - a contract is made of assertions

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from ..model import JobCounts, JobFate, JobHold, JobRecord, JobStop
from ..plugins import PluginManager
from .waiting import eventually

_HOOKS = ("job_counts", "hold_jobs", "stop_jobs", "restore_jobs")
_HOLD = JobHold(is_on=True, window_ids=frozenset({"contract"}), reason="contract")
_RELEASE = JobHold(is_on=False)
_PATIENCE_SECONDS = 60.0
_HOOK_SECONDS = 60.0


class JobQueueContract(ABC):
    """What every plugin of a job queue must do; subclass it as ``Test…``, with a real queue and real workers.

    Each test begins with an empty queue whose workers run and that nothing holds back; make it so in a fixture that is
    used automatically. Jobs have names that the suite gives, and count how often each began and ended.

    Attributes:
        plugin: the module, or the object, that carries the hooks.
    """

    plugin: object

    @abstractmethod
    def enqueue(self, name: str) -> None:
        """Put a job of this name into the queue; it runs until ``finish`` is called, and works on nothing else."""

    @abstractmethod
    def finish(self) -> None:
        """Let every job that runs, now or later, come to its end at once."""

    @abstractmethod
    def began(self, name: str) -> int:
        """Return how often jobs of this name have begun; one that was put back keeps its name."""

    @abstractmethod
    def ended(self, name: str) -> int:
        """Return how often jobs of this name came to their own end."""

    def test_all_hooks_are_implemented(self) -> None:
        """Counting without holding proves nothing, ending without putting back loses work."""
        assert set(_HOOKS) <= {hook for hook in _HOOKS if self._manager().implements(hook)}

    def test_held_queue_begins_nothing(self) -> None:
        """Also where a worker was waiting for a job when the hold came."""
        self._hold()

        self.enqueue("held")

        counts = self._counts()
        assert all(count.is_quiet for count in counts), counts
        assert sum(count.queued or 0 for count in counts) == 1
        assert self.began("held") == 0
        self.finish()
        self._ask("hold_jobs", _RELEASE)
        eventually(lambda: self.ended("held") == 1, within=_PATIENCE_SECONDS)

    def test_running_job_is_counted_until_it_ends(self) -> None:
        """A held queue is not a quiet one."""
        self._start("long")
        self._ask("hold_jobs", _HOLD)

        assert not all(count.is_quiet for count in self._counts())
        self.finish()

        eventually(lambda: all(count.is_quiet for count in self._counts()), within=_PATIENCE_SECONDS)
        assert self.ended("long") == 1

    def test_holding_and_letting_go_may_be_repeated(self) -> None:
        """A new leader holds what is held already, and lets go what is free."""
        for hold in (_HOLD, _HOLD, _RELEASE, _RELEASE):
            self._ask("hold_jobs", hold)
        self.finish()
        self.enqueue("after")

        eventually(lambda: self.ended("after") == 1, within=_PATIENCE_SECONDS)

    def test_job_that_ends_in_time_is_left_alone(self) -> None:
        """Soft before hard."""
        self._start("in-time")
        self._ask("hold_jobs", _HOLD)
        self.finish()

        records = self._stop(grace_seconds=30.0)

        assert [record.fate for record in records] in ([JobFate.FINISHED], [])
        assert self.ended("in-time") == 1

    def test_job_that_was_ended_runs_to_its_end_once(self) -> None:
        """However often it is asked for; and a second call to stop tells the same as the first."""
        self._start("ended")
        self._hold_while_busy()
        first = self._stop(grace_seconds=0.0)
        again = self._stop(grace_seconds=0.0)
        assert [(record.id, record.fate) for record in first] == [(record.id, record.fate) for record in again]
        assert [record.is_restorable for record in first] == [True]
        assert all(count.is_quiet for count in self._counts())

        self.finish()
        self._ask("hold_jobs", _RELEASE)
        put_back = [self._restore(first) for _ in range(3)]

        assert all(each == put_back[0] for each in put_back)
        assert all(record.put_back_as for record in put_back[0])
        eventually(lambda: self.ended("ended") == 1, within=_PATIENCE_SECONDS)
        self.enqueue("behind-it")
        eventually(lambda: self.ended("behind-it") == 1, within=_PATIENCE_SECONDS)
        assert self._restore(first) == put_back[0]
        assert self.ended("ended") == 1

    def test_records_of_others_are_left_alone(self) -> None:
        """Every plugin is given the whole ledger."""
        stranger = JobRecord(
            source="no-such-source", id="1", queue="q", name="f", fate=JobFate.TERMINATED, is_restorable=True
        )

        assert [record for record in self._restore([stranger]) if record.put_back_as] == []

    def _manager(self) -> PluginManager:
        manager = PluginManager()
        manager.register(self.plugin, "contract")
        return manager

    def _ask(self, hook: str, *arguments: Any) -> Any:
        (result,) = getattr(self._manager(), hook)(*arguments, timeout_seconds=_HOOK_SECONDS)
        assert result.ok, result.error
        return result.answer

    def _counts(self) -> list[JobCounts]:
        answer = self._ask("job_counts")
        return [answer] if isinstance(answer, JobCounts) else list(answer)

    def _stop(self, *, grace_seconds: float) -> list[JobRecord]:
        return list(self._ask("stop_jobs", JobStop(window_id="contract", grace_seconds=grace_seconds)) or ())

    def _restore(self, records: Iterable[JobRecord]) -> list[JobRecord]:
        return list(self._ask("restore_jobs", list(records)) or ())

    def _start(self, name: str) -> None:
        self.enqueue(name)
        eventually(lambda: self.began(name) == 1, within=_PATIENCE_SECONDS)

    def _hold(self) -> None:
        self._ask("hold_jobs", _HOLD)
        eventually(lambda: all(count.is_quiet for count in self._counts()), within=_PATIENCE_SECONDS)

    def _hold_while_busy(self) -> None:
        self._ask("hold_jobs", _HOLD)
        eventually(lambda: all(count.reserved == 0 for count in self._counts()), within=_PATIENCE_SECONDS)
