"""A window that a program holds: its lease is renewed while the program lives, and it ends as the program ended."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from ..model import MaintenanceState, MaintenanceWindow, NoOpenWindowError, QuiescenceReport, StoreError
from .journal import Journal
from .proof import wait_for_proof
from .runtime import Runtime
from .validation import LEASE_RENEWAL_SECONDS
from .window_changes import ended, kept
from .writing import CommandWriter

logger = logging.getLogger("quiesce")


class HeldWindow:
    """Made by ``service.hold``, with the window open; renews its lease on a thread until it is left.

    As a context manager it ends the window when the block ends, and when the block raises it keeps the window (or ends
    it, with ``release_on_failure``): a half-done migration must not be opened to writes by an error. A process that was
    forked from the holder holds nothing: leaving the block there does nothing.

    Attributes:
        window: as it was opened.
    """

    def __init__(
        self, runtime: Runtime, writer: CommandWriter, *, window: MaintenanceWindow, actor: str, source: str
    ) -> None:
        self.window = window
        self._runtime = runtime
        self._writer = writer
        self._actor = actor
        self._source = source
        self._pid = os.getpid()
        self._is_left = False
        self._stopping = threading.Event()
        self._renewal = _Renewal(runtime, window)
        self._renewal.renew()
        self._thread = threading.Thread(target=self._go_on_renewing, name="quiesce-lease", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if os.getpid() != self._pid:
            return
        self._stop_renewing()
        if self._is_left:
            return
        if exc_type is None:
            self.release()
            return
        try:
            if self.window.lease is not None and self.window.lease.releases:
                self.release()
            else:
                self.keep(f"its holder failed with {exc_type.__name__}")
        except StoreError as trouble:  # what went wrong in the block is what the caller must see
            logger.error("window %s is no longer held, and may be open still: %s", self.window.id, trouble)

    def wait_until_quiesced(self, *, timeout: timedelta, expected_workers: int = 1) -> QuiescenceReport:
        """Return the first report that says quiesced, or the last one when the time is up.

        Raises:
            StoreError: the store did not answer until the time was up.
        """
        return wait_for_proof(self._runtime, timeout=timeout, expected_workers=expected_workers)

    def is_open(self) -> bool:
        """Whether the window is open still; somebody may have ended it.

        Raises:
            StoreError: the store does not answer.
        """
        return _is_open(self._runtime, self.window)

    def release(self) -> bool:
        """Stop renewing and end the window; return whether it was open until now.

        Raises:
            StoreError: the store does not answer; nobody holds the window now, and it may be open still. Try again.
        """
        self._stop_renewing()
        was_open = True

        def change(state: MaintenanceState, now: datetime, journal: Journal) -> MaintenanceState:
            return ended(state, window_id=self.window.id, end_all=False, now=now, journal=journal)[0]

        try:
            self._writer.commit(change, actor=self._actor, source=self._source)
        except NoOpenWindowError:
            was_open = False
        self._leave()
        return was_open

    def keep(self, detail: str) -> None:
        """Stop renewing and let the window stay until an operator ends it.

        Args:
            detail: why, for the audit trail.

        Raises:
            StoreError: the store does not answer; the lease lapses in time, if the window is open still. Try again.
        """
        self._stop_renewing()

        def change(state: MaintenanceState, now: datetime, journal: Journal) -> MaintenanceState:
            return kept(state, window_id=self.window.id, now=now, journal=journal, detail=detail)

        self._writer.commit(change, actor=self._actor, source=self._source)
        self._leave()

    def _leave(self) -> None:
        self._is_left = True
        with contextlib.suppress(StoreError):  # a count that nobody reads is left behind, and no more
            self._runtime.store.drop_lease(self.window.id)

    def _stop_renewing(self) -> None:
        self._stopping.set()
        self._thread.join()  # bounded: every call of a store is

    def _go_on_renewing(self) -> None:
        while not self._stopping.wait(LEASE_RENEWAL_SECONDS) and os.getpid() == self._pid:
            self._renewal.renew()


class _Renewal:
    """Renews one lease, and tells trouble once: that it cannot, that the lease has lapsed so, that the window ended."""

    def __init__(self, runtime: Runtime, window: MaintenanceWindow) -> None:
        self._runtime = runtime
        self._window = window
        self._lease_seconds = 0.0 if window.lease is None else window.lease.seconds
        self._renewed_at = runtime.clock.monotonic()
        self._is_failing = False
        self._has_lapsed = False
        self._has_ended = False

    def renew(self) -> None:
        """Renew the lease once, or say why not."""
        clock = self._runtime.clock
        try:
            self._runtime.store.renew_lease(self._window.id)
            is_open = self._has_ended or _is_open(self._runtime, self._window)
        except StoreError as exc:
            self._tell_failure(exc)
        else:
            if self._is_failing:
                logger.warning("the lease on window %s is renewed again", self._window.id)
            self._is_failing = self._has_lapsed = False
            self._renewed_at = clock.monotonic()
            if not is_open:
                self._has_ended = True
                logger.error("window %s HAS ENDED while its holder still works", self._window.id)

    def _tell_failure(self, exc: StoreError) -> None:
        if not self._is_failing:
            self._is_failing = True
            logger.error("the lease on window %s cannot be renewed, trying again: %s", self._window.id, exc)
        if not self._has_lapsed and self._runtime.clock.monotonic() - self._renewed_at > self._lease_seconds:
            self._has_lapsed = True
            logger.error(
                "the lease on window %s was not renewed for more than %g s; its holder may be taken for lost",
                self._window.id,
                self._lease_seconds,
            )


def describe_holder(actor: str) -> str:
    """Return the name of this process as that of a holder."""
    name = actor if "@" in actor else f"{actor}@{os.uname().nodename}"
    return f"{name} pid {os.getpid()}"


def _is_open(runtime: Runtime, window: MaintenanceWindow) -> bool:
    found = runtime.committer.load().find(window.id)
    return found is not None and found.is_open(runtime.clock.now())
