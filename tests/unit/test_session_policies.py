"""What a window is to do to sessions: said by an operator, or left to the settings."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from quiesce import Mode, SessionPolicy
from quiesce.testing.clock import NOON

LATER = NOON + timedelta(hours=1)


@pytest.mark.parametrize(
    ("ends_sessions", "asked", "policy"),
    [
        (True, {}, SessionPolicy.REVOKE),
        (False, {}, SessionPolicy.KEEP),
        (False, {"sessions": "revoke"}, SessionPolicy.REVOKE),
        (False, {"sessions": "suspend"}, SessionPolicy.SUSPEND),
        (False, {"mode": Mode.NORMAL}, SessionPolicy.REVOKE),
    ],
)
def test_the_settings_say_what_an_emergency_does_to_sessions(
    make_service: Any, *, ends_sessions: bool, asked: dict[str, Any], policy: SessionPolicy
) -> None:
    """``EMERGENCY_MODE_SESSION_CLEANUP``, for what is opened now and for what is planned; an operator's word goes."""
    service = make_service(emergency_session_cleanup=ends_sessions)
    fields: dict[str, Any] = {"reason": "r", "mode": Mode.EMERGENCY, "actor": "ann", **asked}

    planned = service.schedule.add(start=LATER, **fields)
    opened = service.enable(**fields)

    assert opened.session_policy is policy
    assert planned.session_policy is policy
    assert (service.store.load().sessions.generation == 1) is (policy is SessionPolicy.REVOKE)


def test_a_schedule_says_what_its_windows_do(make_service: Any) -> None:
    """An operator must see beforehand that a night will log people out."""
    service = make_service()

    planned = service.schedule.add(reason="r", start=LATER, rrule="FREQ=DAILY", timeout=60, actor="ann")
    changed = service.schedule.change(planned.id, sessions="suspend", actor="ann")

    assert planned.session_policy is SessionPolicy.REVOKE
    assert [window.session_policy for window in changed.windows()][:1] == [SessionPolicy.SUSPEND]
    assert changed.session_policy is SessionPolicy.SUSPEND
