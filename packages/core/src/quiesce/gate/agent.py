"""The one background thread of a worker: registration, heartbeat, acknowledgement, counts, repair, leadership."""

from __future__ import annotations

import atexit
import functools
import logging
import os
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace

from ..clock import Clock
from ..model import Acknowledgement, EffectiveMaintenance, Heartbeat, StoreError, UnknownWorkerError, WorkerInfo
from ..model.audit_chain import AuditChain
from ..stores.base import Change, Store
from . import pulse
from .acknowledging import gist
from .board_keeping import BoardKeeper
from .gate import Gate
from .listening import Listeners
from .outgoing import OutgoingCounts
from .processes import describe_this_process
from .reaping import Reaper
from .replica import Snapshot
from .reseeding import reseed

_STOP_SECONDS = 5.0

logger = logging.getLogger("quiesce")


class Agent:
    """Keeps one process in touch with the store; starts at the first request, and anew after a fork."""

    def __init__(
        self,
        *,
        store: Store,
        gate: Gate,
        clock: Clock,
        framework: str,
        test_log_level: int = logging.DEBUG,
        gone_after: float = 300.0,
        chain: AuditChain | None = None,
    ) -> None:
        self.on_lead: Callable[[], None] | None = None
        """Called once a heartbeat in the one worker that leads; must return at once."""
        self.count_jobs: Callable[[], Mapping[str, int]] = dict
        """Says which jobs this process runs; must return at once."""
        self.on_apply: Callable[[EffectiveMaintenance], object] = lambda _: None
        """Called with what is in force, before that is acknowledged; must return at once, and never raises."""
        self.on_turn: Callable[[], None] = lambda: None
        """Called after every turn, on this thread; must end soon, and never raises."""
        self.on_stop: Callable[[], None] = lambda: None
        """Called when the thread has ended; the same holds."""
        self._store = store
        self._gate = gate
        self._clock = clock
        self._chain = chain
        self.framework = framework
        """What this process runs, as it will be registered."""
        self._test_log_level = test_log_level
        self._gone_after = max(gone_after, pulse.LEASE_SECONDS)
        self.listeners = Listeners()
        """Told on this thread when what is in force has changed."""
        self._board = BoardKeeper(store=store, gate=gate)
        self._make_locks()
        self._rearm()
        gate.on_lapse(self.revive)
        _agents.add(self)

    def _make_locks(self) -> None:
        self._life = threading.Lock()
        self._turns = threading.Lock()

    def _rearm(self) -> None:
        self.worker: WorkerInfo | None = None
        """This process as it is registered."""
        self._thread: threading.Thread | None = None
        self._is_stopping = self._is_registered = False
        self._written: Acknowledgement | None = None
        self._looked_at: Snapshot | None = None
        self._counts = OutgoingCounts(test_log_level=self._test_log_level)
        self._reaper = Reaper(self._store, clock=self._clock, gone_after=self._gone_after)
        self._ask_for_silent_at = self._beat_at = -1.0
        self.leads_until = -1.0  # by the monotonic clock
        self._failed_at: float | None = None
        self.last_outage = (float("-inf"), float("-inf"))  # its begin and end, by the monotonic clock

    def forget_parent(self) -> None:
        """Begin anew in a forked child: its parent's thread, locks and id are not its own."""
        self._board.close()
        self._gate.forget_parent()
        self._make_locks()
        self._rearm()

    def revive(self) -> None:
        """Register, load from the store, and only then admit (protocol rules 4 and 7); start the thread.

        Never raises for a store out of reach: the process then goes on with the machine's last snapshot and says so.
        """
        with self._life:
            with self._turns:
                if not self._gate.has_lease:
                    try:
                        self._register()
                        self._synchronise()
                        self._gate.extend_lease(seconds=pulse.LEASE_SECONDS, is_stale=False)
                    except StoreError as exc:
                        self._lose_touch(exc)
                    except Exception:
                        # A plugin's store may raise anything; the request that waits here must be decided all the same.
                        logger.exception("store %s failed in an unforeseen way", self._store.url)
                        self._gate.extend_lease(seconds=pulse.STALE_SECONDS, is_stale=True)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="quiesce-agent", daemon=True)
                self._thread.start()
                atexit.register(self.stop)

    def stop(self) -> None:
        """Flush, deregister unless something is still in flight, end the thread; bounded, never raises."""
        with self._life:
            if self._thread is None:
                return
            self._is_stopping = True
            self._store.wake()
            self._thread.join(_STOP_SECONDS)
            atexit.unregister(self.stop)
            self._board.close()
            self.on_stop()
            self._gate.end_lease()
            try:
                self._say_goodbye()
            except StoreError as exc:
                logger.warning("worker could not say goodbye to the store: %s", exc)
            self._rearm()

    def wake(self) -> None:
        """Let the thread look at the store now."""
        self._beat_at = -1.0
        self._store.wake()

    def _run(self) -> None:
        change: Change | None = None
        while not self._is_stopping:
            leads = False
            try:
                with self._turns:
                    leads = self._turn(change)
            except StoreError as exc:
                self._lose_touch(exc)
            except Exception:
                # A plugin's store may raise anything, and without this thread the worker would be lost to the proof.
                logger.exception("store %s failed in an unforeseen way", self._store.url)
                self._gate.extend_lease(seconds=pulse.STALE_SECONDS, is_stale=True)
            self.listeners.tell(self._gate.snapshot)
            self.on_turn()
            if leads and self.on_lead is not None:
                self.on_lead()
            change = self._store.wait_for_change(timeout_seconds=self._patience(), beside=self._board.bell)

    def _patience(self) -> float:
        """Return how long nothing can happen that this thread would not be told of; a job's start can wait."""
        if self._board.bell is None or not self._is_up_to_date() or (self._written and self._written.jobs):
            return pulse.POLL_SECONDS
        return max(min(self._beat_at, self._gate.judge_at) - self._clock.monotonic(), pulse.POLL_SECONDS)

    def _turn(self, change: Change | None) -> bool:
        """Do what is due; say whether this worker leads and a heartbeat has passed."""
        self._board.attend()
        now = self._clock.monotonic()
        is_due = now >= self._beat_at
        if change is not None and self._failed_at is None:
            self._follow(change)
        if is_due:
            self._board.mend()
        elif self._is_settled():
            return False
        acknowledgement = self._acknowledge()
        state = self._gate.snapshot.state
        if not is_due and not self._differs(acknowledgement):
            return False
        lease_seconds = pulse.LEASE_SECONDS if is_due else 0.0
        asks_for_silent = is_due and now >= self._ask_for_silent_at
        heartbeat = self._report(acknowledgement, lease_seconds=lease_seconds, asks_for_silent=asks_for_silent)
        if asks_for_silent:
            self._ask_for_silent_at = now + pulse.ASK_FOR_SILENT_SECONDS
            self._reaper.reap(heartbeat.silent)
        if (heartbeat.revision, heartbeat.commit_id) != (state.revision, state.commit_id):
            self._synchronise()
            heartbeat = self._report(self._acknowledge(), lease_seconds=lease_seconds)
        if not is_due:
            return False
        self._beat_at = now + pulse.HEARTBEAT_SECONDS
        self.leads_until = now + pulse.LEASE_SECONDS if heartbeat.is_leader else -1.0
        self._gate.extend_lease(seconds=pulse.LEASE_SECONDS, is_stale=False)
        if self._failed_at is not None:
            logger.warning("store %s is back after %.1f s", self._store.url, now - self._failed_at)
            self.last_outage, self._failed_at = (self._failed_at, now), None
        return heartbeat.is_leader

    def _acknowledge(self) -> Acknowledgement:
        self._looked_at = self._gate.renew()  # before the count: what comes between is looked at in the next turn
        self.on_apply(self._looked_at.effective)
        return replace(self._gate.acknowledge(), jobs=self.count_jobs())

    @property
    def _me(self) -> WorkerInfo:
        if self.worker is None:
            self.worker = describe_this_process(framework=self.framework, started_at=self._clock.now())
        return self.worker

    def _register(self) -> None:
        self._store.register(self._me)
        self._is_registered = True
        self._written = None

    def _follow(self, change: Change) -> None:
        """Apply what was announced, without a question to the store where the announcement says it all."""
        known = self._gate.snapshot.state
        if change.state is None or not (change.state.contains(known) or known.contains(change.state)):
            self._synchronise()
        elif not known.contains(change.state):
            self._gate.adopt(change.state)
            self._board.publish(change.state, body=change.body)

    def _synchronise(self) -> None:
        """Bring process, board and store to one state that contains what each of them knew."""
        self._board.mend()
        known = self._gate.renew().state
        state = self._store.load()
        if not state.contains(known):
            state = reseed(self._store, known, actor=f"worker:{self._me.id}", clock=self._clock, chain=self._chain)
        self._board.publish(state)
        self._gate.adopt(state)

    def _is_settled(self) -> bool:
        """Whether the last report still holds, so that an idle worker's poll costs next to nothing."""
        return self._is_up_to_date() and self._written is not None and self._written.jobs == self.count_jobs()

    def _is_up_to_date(self) -> bool:
        is_quiet = self._written is not None and not (self._written.in_flight or self._gate.has_news)
        return is_quiet and self._gate.snapshot is self._looked_at

    def _differs(self, acknowledgement: Acknowledgement) -> bool:
        return self._written is None or gist(self._written) != gist(acknowledgement)

    def _report(
        self, acknowledgement: Acknowledgement, *, lease_seconds: float, asks_for_silent: bool = False
    ) -> Heartbeat:
        self._counts.add(self._gate.tally.take())
        batch, counts = self._counts.next_batch()
        if not self._is_registered:
            self._register()
        send = functools.partial(
            self._store.report,
            self._me.id,
            acknowledgement,
            counts=counts,
            batch=batch,
            lease_seconds=lease_seconds,
            asks_for_silent=asks_for_silent,
        )
        try:
            heartbeat = send()
        except UnknownWorkerError:
            self._is_registered = False
            self._register()
            heartbeat = send()
        self._counts.confirm()
        self._written = acknowledgement
        return heartbeat

    def _say_goodbye(self) -> None:
        if not self._is_registered:
            return
        self._report(self._acknowledge(), lease_seconds=0.0)
        self._store.resign(self._me.id)
        if not self._gate.in_flight:  # else a sibling takes it off the list when the process is gone
            self._store.deregister(self._me.id)

    def _lose_touch(self, exc: StoreError) -> None:
        if self._failed_at is None:
            self._failed_at = self._clock.monotonic()
            logger.error("store %s: %s; going on with the last known state", self._store.url, exc)
        self._beat_at = self._clock.monotonic() + pulse.RETRY_SECONDS
        self._gate.extend_lease(seconds=pulse.STALE_SECONDS, is_stale=True)


_agents: weakref.WeakSet[Agent] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for agent in list(_agents):
        agent.forget_parent()


os.register_at_fork(after_in_child=_after_fork_in_child)
