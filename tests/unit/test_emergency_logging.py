"""In an emergency a worker logs everything, and each line says under which emergency; no input can forge one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from quiesce.control.emergency_logging import EmergencyLogging
from quiesce.logs import log_activated
from quiesce.model import Acknowledgement, EffectiveMaintenance, Heartbeat, MaintenanceWindow, Mode
from quiesce.stores.memory import MemoryStore
from quiesce.testing import eventually
from quiesce.testing.clock import NOON

logger = logging.getLogger("quiesce")

QUIET = EffectiveMaintenance()


def an_emergency(reason: str = "breach", *, id_: str = "w1") -> EffectiveMaintenance:
    window = MaintenanceWindow(id=id_, mode=Mode.EMERGENCY, reason=reason, owner="o", starts_at=NOON)
    return EffectiveMaintenance((window,))


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.handler.setLevel(logging.NOTSET)
    return caplog


@pytest.fixture
def worker() -> Iterator[EmergencyLogging]:
    worker = EmergencyLogging()
    yield worker
    worker.stop()


@pytest.fixture(autouse=True)
def _level() -> Iterator[None]:
    """As an application leaves it."""
    before = logger.level
    logger.setLevel(logging.WARNING)
    yield
    logger.setLevel(before)


def test_each_line_carries_the_emergency(lines: pytest.LogCaptureFixture, worker: EmergencyLogging) -> None:
    """Lines are told apart afterwards by it; before the emergency and after it they are the guide's, exactly."""
    worker.hear(an_emergency())
    log_activated(reason="breach", mode="emergency", window_id="w1", actor="admin")
    logger.debug("%d%% of %s", 7, "all")
    logger.info("%(name)s", {"name": "by name"})
    logger.info("100% sure")
    worker.hear(QUIET)
    log_activated(reason="breach", mode="emergency", window_id="w1", actor="admin")

    assert [record.getMessage() for record in lines.records] == [
        '[MAINTENANCE] Emergency mode activated: reason="breach" admin="admin" emergency="w1"',
        '7% of all emergency="w1"',
        'by name emergency="w1"',
        '100% sure emergency="w1"',
        '[MAINTENANCE] Emergency mode activated: reason="breach" admin="admin"',
    ]
    facts = [(vars(r).get("emergency_id"), vars(r).get("emergency_reason")) for r in lines.records]
    assert facts == [("w1", "breach")] * 4 + [(None, None)]


class Records(logging.Handler):
    """Keeps the records."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@example("%s", "%s%d")
@given(st.text(max_size=30), st.text(max_size=30))
def test_neither_reason_nor_id_forges_a_line(reason: str, id_: str) -> None:
    """The reason is anybody's who may open a window; a restored store may hold any id."""
    worker, handler = EmergencyLogging(), Records()
    logger.addHandler(handler)
    try:
        worker.hear(an_emergency(reason, id_=id_))
        logger.info("of %s", "all")
    finally:
        logger.removeHandler(handler)
        worker.stop()

    (line,) = [record.getMessage() for record in handler.records]
    assert line.startswith('of all emergency="')
    assert line.isascii()
    assert len(line.splitlines()) == 1


def test_the_level_is_raised_and_put_back(worker: EmergencyLogging) -> None:
    """An operator's own level holds before and after."""
    worker.hear(an_emergency())
    worker.hear(an_emergency(id_="w2"))
    assert logger.level == logging.DEBUG

    worker.hear(QUIET)
    assert logger.level == logging.WARNING


def test_a_level_that_shows_more_already_stays(worker: EmergencyLogging) -> None:
    """Somebody traces with a level below DEBUG; an emergency is the last moment to log less."""
    logger.setLevel(5)
    worker.hear(an_emergency())
    assert logger.level == 5

    worker.hear(QUIET)
    assert logger.level == 5


def test_a_level_that_was_changed_meanwhile_stays(worker: EmergencyLogging) -> None:
    """Somebody whose disk fills turns it down in mid-emergency; nobody may turn it back."""
    worker.hear(an_emergency())
    logger.setLevel(logging.ERROR)
    worker.hear(QUIET)

    assert logger.level == logging.ERROR


def test_the_last_of_several_workers_in_a_process_puts_the_level_back(worker: EmergencyLogging) -> None:
    """Two applications in one process share the logger."""
    other = EmergencyLogging()
    worker.hear(an_emergency())
    other.hear(an_emergency(id_="w2"))
    worker.stop()
    assert logger.level == logging.DEBUG

    other.stop()
    other.stop()
    assert logger.level == logging.WARNING


class WatchedStore(MemoryStore):
    """Remembers the logger's level at each acknowledgement of a window."""

    def __init__(self) -> None:
        super().__init__()
        self.levels: list[int] = []

    def report(self, worker_id: str, acknowledgement: Acknowledgement, **further: Any) -> Heartbeat:
        if acknowledgement.windows:
            self.levels.append(logger.level)
        return super().report(worker_id, acknowledgement, **further)


def test_a_worker_has_raised_its_level_when_it_acknowledges(make_service: Any) -> None:
    """The step relies on it."""
    store = WatchedStore()
    service = make_service(store=store)
    service.start()

    service.enable(reason="breach", mode="emergency", actor="a")

    eventually(lambda: store.levels)
    assert set(store.levels) == {logging.DEBUG}


def test_the_level_is_put_back_with_the_emergency_or_the_worker(make_service: Any, sqlite_url: str) -> None:
    """Whichever ends first."""
    service, operator = make_service(sqlite_url), make_service(sqlite_url)
    service.start()

    operator.enable(reason="breach", mode="emergency", actor="a")
    eventually(lambda: logger.level == logging.DEBUG)
    operator.disable(actor="a")
    eventually(lambda: logger.level == logging.WARNING)

    operator.enable(reason="breach", mode="emergency", actor="a")
    eventually(lambda: logger.level == logging.DEBUG)
    service.close()
    assert logger.level == logging.WARNING


def test_a_normal_window_leaves_the_log_alone(worker: EmergencyLogging) -> None:
    """Only an emergency is worth a full disk."""
    window = MaintenanceWindow(id="w", mode=Mode.NORMAL, reason="r", owner="o", starts_at=NOON)
    worker.hear(EffectiveMaintenance((window,)))

    assert logger.level == logging.WARNING
