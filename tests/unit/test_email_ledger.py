"""Who has which notice is remembered, within bounds, and by one process at a time."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from quiesce import Audience, EventKind, MaintenanceEvent, Notice
from quiesce_email.ledger import MOST_NOTICES, Fate, Ledger

FORK = """
import os
from quiesce_email.ledger import ledger

ledger().sending.acquire()
child = os.fork()
if child == 0:
    os._exit(0 if ledger().sending.acquire(timeout=5) else 1)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def notice(revision: int) -> Notice:
    event = MaintenanceEvent(kind=EventKind.STARTED, at=datetime(2026, 11, 26, tzinfo=UTC), revision=revision, number=0)
    return Notice(event=event, service_name="shop", window=None, audience=Audience.EVERYONE)


def test_a_repeat_finds_what_the_first_attempt_wrote() -> None:
    """Also when the window has been forgotten meanwhile."""
    ledger = Ledger()

    ledger.of(notice(1))["ann@shop.example"] = Fate.ACCEPTED

    assert ledger.of(replace(notice(1), attempt=2, is_test=True)) == {"ann@shop.example": Fate.ACCEPTED}


def test_notice_of_a_store_that_began_anew_is_another() -> None:
    """Its revisions start at one again, and with them its ids: that must not silence it."""
    ledger = Ledger()
    ledger.of(notice(1))["ann@shop.example"] = Fate.ACCEPTED
    later = replace(notice(1), event=replace(notice(1).event, at=notice(1).event.at + timedelta(days=1)))

    assert later.id == notice(1).id
    assert ledger.of(later) == {}


def test_only_the_latest_notices_are_remembered() -> None:
    """A process lives for months."""
    ledger = Ledger()
    for revision in range(MOST_NOTICES + 1):
        ledger.of(notice(revision))["ann@shop.example"] = Fate.ACCEPTED

    assert ledger.of(notice(MOST_NOTICES)) != {}
    assert ledger.of(notice(0)) == {}


def test_process_that_was_forked_while_its_parent_sent_can_send() -> None:
    """A server that preloads the application forks its workers at any time; a copied lock is never let go."""
    assert subprocess.run([sys.executable, "-W", "error", "-c", FORK], check=False, timeout=30).returncode == 0
