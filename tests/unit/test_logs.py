"""The guide's log lines, and no way to forge one."""

from __future__ import annotations

import json
import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quiesce.logs import log_activated, log_blocked, log_deactivated, log_session_invalidated, log_would_block
from quiesce.model import Decision, MaintenanceWindow, Mode, OperationType, Outcome
from quiesce.testing.clock import NOON

WINDOW = MaintenanceWindow(id="w", mode=Mode.NORMAL, reason="r", owner="o", starts_at=NOON)
REFUSED = Decision(Outcome.REFUSED, OperationType.JOB_CREATION, "rule", WINDOW, 1)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


@pytest.fixture(autouse=True)
def _level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "quiesce")


def test_lines_are_exactly_the_guides(caplog: pytest.LogCaptureFixture) -> None:
    """Operators' alerts match these texts."""
    log_activated(reason="Database optimization", mode="normal", window_id="w", actor="admin")
    log_blocked(REFUSED, endpoint="/start_caption_generation", user="user123")
    log_activated(reason="Security incident", mode="emergency", window_id="w", actor="admin")
    log_session_invalidated(user="user456", reason="maintenance_activation")
    log_deactivated(minutes=45, window_id="w", actor="admin")

    assert lines(caplog) == [
        '[MAINTENANCE] Maintenance mode activated: reason="Database optimization"',
        '[MAINTENANCE] Operation blocked: endpoint="/start_caption_generation" user="user123"',
        '[MAINTENANCE] Emergency mode activated: reason="Security incident" admin="admin"',
        '[MAINTENANCE] Session invalidated: user="user456" reason="maintenance_activation"',
        '[MAINTENANCE] Maintenance mode deactivated: duration="45 minutes"',
    ]
    assert {record.name for record in caplog.records} == {"quiesce"}


def test_would_be_refusals_are_logged_at_the_level_of_the_settings(caplog: pytest.LogCaptureFixture) -> None:
    """Test mode must be tellable from the real thing, and may be silenced."""
    log_would_block(REFUSED, endpoint="/x\n", level=logging.WARNING)
    log_would_block(REFUSED, endpoint="/y", level=1)

    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == '[MAINTENANCE] Operation would be blocked: endpoint="/x\\n"'


def test_decision_without_a_window_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A stale process that refuses writes has none to name."""
    log_blocked(Decision(Outcome.REFUSED, OperationType.JOB_CREATION, "r", None, 1), endpoint="/x", user="u")

    assert vars(caplog.records[0])["window_id"] == ""


def test_facts_stand_in_the_record(caplog: pytest.LogCaptureFixture) -> None:
    """Structured logging needs no parsing."""
    log_blocked(REFUSED, endpoint="/x", user="u")
    log_deactivated(minutes=3, window_id="w", actor="a")

    blocked, deactivated = (vars(record) for record in caplog.records)
    assert [blocked[key] for key in ("endpoint", "user", "operation", "window_id")] == ["/x", "u", "job_creation", "w"]
    assert [deactivated[key] for key in ("minutes", "window_id", "actor")] == [3, "w", "a"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(), max_size=60), st.text(st.characters(), max_size=60))
def test_no_value_forges_a_line_or_a_field(caplog: pytest.LogCaptureFixture, endpoint: str, user: str) -> None:
    """A path and a user's name are anybody's input."""
    caplog.clear()

    log_blocked(REFUSED, endpoint=endpoint, user=user)

    (line,) = lines(caplog)
    prefix = "[MAINTENANCE] Operation blocked: endpoint="
    assert len(line.splitlines()) == 1
    assert line.isascii()
    assert line.startswith(prefix)
    first, end = json.JSONDecoder().raw_decode(line, len(prefix))
    assert line[end:].startswith(" user=")
    second, last = json.JSONDecoder().raw_decode(line, end + len(" user="))
    assert (first, second, last) == (*_as_json(endpoint, user), len(line))


def _as_json(*values: str) -> tuple[str, ...]:
    """JSON joins a pair of surrogates into the character that they stand for."""
    return tuple(value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass") for value in values)


def test_long_value_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    """A hostile path of megabytes must not fill the disk."""
    log_blocked(REFUSED, endpoint="/" + "x" * 1_000_000, user="u")

    assert len(lines(caplog)[0]) < 500
