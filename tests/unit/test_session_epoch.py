"""Which sessions are over: one epoch for all, single users beside it, and what two epochs make together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce import (
    EnhancedMaintenanceModeService,
    InvalidValueError,
    MaintenanceWindow,
    Mode,
    OperationType,
    Principal,
    SessionEpoch,
    SessionPolicy,
    SessionVerdict,
    Settings,
)
from quiesce.model.sessions import FIRST_EPOCH, MOST_USERS, merged_epochs
from quiesce.testing import FakeClock
from quiesce.testing.clock import NOON

BOB = Principal("bob")
ADMIN = Principal("root", is_admin=True)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def service(clock: FakeClock) -> Iterator[EnhancedMaintenanceModeService]:
    service = EnhancedMaintenanceModeService(Settings(store_url="memory://"), clock=clock)
    yield service
    service.close()


def open_window(service: EnhancedMaintenanceModeService, sessions: str | None = None) -> MaintenanceWindow:
    window = service.enable(reason="r", sessions=sessions, actor="ann")
    service.gate.adopt(service.store.load())
    return window


def end_window(service: EnhancedMaintenanceModeService) -> None:
    service.disable(actor="ann")
    service.gate.adopt(service.store.load())


def test_nobody_need_look_at_a_session_before_the_first_is_ended(service: EnhancedMaintenanceModeService) -> None:
    """What costs every request something must cost nothing while nothing was asked for."""
    assert service.sessions.is_idle
    assert service.sessions.generation == 0
    assert not service.sessions.must_be_judged(0)


def test_a_window_ends_every_older_session_but_the_admins(service: EnhancedMaintenanceModeService) -> None:
    """The guide's promise; and it holds after the window as well."""
    open_window(service)

    assert service.sessions.must_be_judged(0)
    assert service.sessions.judge(BOB, stamp=0) is SessionVerdict.REVOKED
    assert service.sessions.judge(ADMIN, stamp=0) is SessionVerdict.VALID
    end_window(service)
    assert service.sessions.judge(BOB, stamp=0) is SessionVerdict.REVOKED
    assert service.sessions.judge(BOB, stamp=service.sessions.generation) is SessionVerdict.VALID
    assert not service.sessions.must_be_judged(service.sessions.generation)


def test_only_the_newest_sessions_are_settled_and_only_while_anybody_may_log_in(
    service: EnhancedMaintenanceModeService,
) -> None:
    """Adapters look no farther at a request whose session is settled; whatever could be over or refused is not."""
    sessions = service.sessions
    at_first = (sessions.is_settled(0), sessions.is_settled(1))
    sessions.end_user("bob", actor="ann")
    after_one = [sessions.is_settled(stamp) for stamp in (0, 1, 2)]
    service.enable(reason="r", sessions=SessionPolicy.SUSPEND, actor="ann")
    suspended = sessions.is_settled(sessions.generation)
    service.disable(actor="ann")
    sessions.prevent_logins(reason="r", actor="ann")
    closed = sessions.is_settled(sessions.generation)
    sessions.restore_logins(actor="ann")

    assert at_first == (True, False)
    assert after_one == [False, True, False]
    assert (suspended, closed, sessions.is_settled(sessions.generation)) == (False, False, True)


def test_a_window_that_suspends_gives_sessions_back(service: EnhancedMaintenanceModeService) -> None:
    """For short work nobody should have to log in anew."""
    open_window(service, "suspend")

    assert service.sessions.judge(BOB, stamp=0) is SessionVerdict.SUSPENDED
    assert service.sessions.judge(ADMIN, stamp=0) is SessionVerdict.VALID
    end_window(service)
    assert service.sessions.judge(BOB, stamp=0) is SessionVerdict.VALID
    assert service.sessions.is_idle


def test_a_window_that_keeps_sessions_touches_none(service: EnhancedMaintenanceModeService) -> None:
    """What an operator asks for is done."""
    open_window(service, "keep")

    assert service.sessions.judge(BOB, stamp=0) is SessionVerdict.VALID
    assert service.store.load().sessions == FIRST_EPOCH


def test_only_admins_log_in_while_a_window_is_open(service: EnhancedMaintenanceModeService) -> None:
    """And the refusal says which window it is."""
    window = open_window(service, "keep")

    decision = service.sessions.refuse_login(BOB, path="/login")
    assert decision is not None
    assert decision.window is not None
    assert (decision.window.id, decision.operation) == (window.id, OperationType.AUTHENTICATION)
    assert not decision.is_allowed
    assert service.sessions.refuse_login(ADMIN, path="/login") is None
    end_window(service)
    assert service.sessions.refuse_login(BOB, path="/login") is None


def test_nothing_is_enforced_when_maintenance_mode_is_off(clock: FakeClock) -> None:
    """The master switch is about sessions too."""
    service = EnhancedMaintenanceModeService(Settings(store_url="memory://", enabled=False), clock=clock)
    open_window(service)

    assert service.sessions.is_idle
    assert service.sessions.judge(BOB, stamp=0) is SessionVerdict.VALID
    service.close()


def test_a_planned_window_ends_sessions_when_it_starts(
    service: EnhancedMaintenanceModeService, clock: FakeClock
) -> None:
    """It begins by the clock in every process; until a commit has noted that, sessions do not count either."""
    service.schedule.add(reason="r", start=NOON + MINUTE, timeout=600, actor="ann")
    service.gate.adopt(service.store.load())
    assert service.sessions.judge(BOB, stamp=0) is SessionVerdict.VALID

    clock.advance(60)
    service.gate.renew()
    assert service.sessions.judge(BOB, stamp=0) is SessionVerdict.SUSPENDED

    service.extend(by=60, actor="ann")
    service.gate.adopt(service.store.load())
    assert service.sessions.judge(BOB, stamp=0) is SessionVerdict.REVOKED


def test_one_users_sessions_can_be_ended(service: EnhancedMaintenanceModeService) -> None:
    """A stolen laptop is no reason to log everybody out."""
    service.gate.adopt(service.store.load())
    service.sessions.invalidate(user_id="bob", actor="ann")
    service.gate.adopt(service.store.load())

    assert service.sessions.must_be_judged(0)
    assert service.sessions.judge(BOB, stamp=0) is SessionVerdict.REVOKED
    assert service.sessions.judge(Principal("eve"), stamp=0) is SessionVerdict.VALID
    assert service.sessions.judge(BOB, stamp=service.sessions.generation) is SessionVerdict.VALID


def test_ending_sessions_is_audited(service: EnhancedMaintenanceModeService) -> None:
    """Who logged everybody out is asked afterwards."""
    service.sessions.invalidate(actor="ann", source="cli")

    (record,) = service.store.audit()
    assert (record.action, record.actor, record.source) == ("sessions.revoked", "ann", "cli")


def test_a_token_counts_by_its_time_of_issue() -> None:
    """``iat`` has whole seconds, so one of the same second may be older: it is over."""
    epoch = FIRST_EPOCH.revoked(at=NOON)

    assert epoch.is_over("bob", stamp=None, issued_at=NOON - MINUTE)
    assert epoch.is_over("bob", stamp=None, issued_at=NOON)
    assert not epoch.is_over("bob", stamp=None, issued_at=NOON + timedelta(seconds=1))
    assert epoch.is_over("bob", stamp=None, issued_at=None)
    assert epoch.revoked_for("bob", at=NOON + MINUTE).is_over("bob", stamp=None, issued_at=NOON + MINUTE / 2)


def test_a_newer_token_counts_without_asking_whose_it_is(service: EnhancedMaintenanceModeService) -> None:
    """Most tokens are newer than the last revocation, and identifying each costs the application a query."""
    counts = service.sessions.token_counts
    service.gate.adopt(service.store.load())
    assert counts()

    service.sessions.invalidate(user_id="bob", actor="ann")
    service.gate.adopt(service.store.load())
    stamp = service.sessions.generation
    assert not counts()
    assert (counts(issued_at=NOON), counts(issued_at=NOON + timedelta(seconds=1))) == (False, True)
    assert (counts(stamp=stamp - 1), counts(stamp=stamp)) == (False, True)

    open_window(service, "suspend")
    assert not counts(stamp=stamp, issued_at=NOON + MINUTE)


def test_too_many_single_users_are_refused() -> None:
    """The state has to fit onto the board; the error says what to do instead."""
    epoch = FIRST_EPOCH
    for number in range(MOST_USERS):
        epoch = epoch.revoked_for(f"user-{number}", at=NOON)

    assert epoch.revoked_for("user-1", at=NOON).generation == epoch.generation + 1
    with pytest.raises(InvalidValueError, match="everyone"):
        epoch.revoked_for("one more", at=NOON)
    assert epoch.revoked(at=NOON).users == ()


@pytest.mark.parametrize(
    ("changes", "policy"),
    [
        ({}, SessionPolicy.REVOKE),
        ({"mode": Mode.EMERGENCY}, SessionPolicy.REVOKE),
        ({"mode": Mode.TEST}, SessionPolicy.KEEP),
        ({"operations": frozenset({"job_creation"})}, SessionPolicy.KEEP),
        ({"operations": frozenset({"job_creation"}), "sessions": SessionPolicy.SUSPEND}, SessionPolicy.SUSPEND),
        ({"sessions": SessionPolicy.KEEP}, SessionPolicy.KEEP),
    ],
)
def test_what_a_window_does_by_itself(changes: dict[str, object], policy: SessionPolicy) -> None:
    """The guide's meaning for whole windows; whoever pauses one kind of operation does not log everybody out."""
    window = MaintenanceWindow(id="w", mode=Mode.NORMAL, reason="r", owner="o", starts_at=NOON)

    assert replace(window, **changes).session_policy is policy  # type: ignore[arg-type]  # a table of any fields


def test_logins_can_be_allowed_or_be_all_that_is_refused() -> None:
    """``--allow authentication`` and ``--block authentication`` mean what they say; no admin is refused at the door."""
    window = MaintenanceWindow(id="w", mode=Mode.NORMAL, reason="r", owner="o", starts_at=NOON)
    only = replace(window, operations=frozenset({"authentication"}))

    assert window.refuses_logins
    assert not replace(window, allowed_operations=frozenset({"authentication"})).refuses_logins
    assert only.refuses_logins
    assert only.session_policy is SessionPolicy.KEEP
    assert not only.covers(OperationType.AUTHENTICATION)
    assert not replace(window, operations=frozenset({"job_creation"})).refuses_logins


steps = st.lists(st.none() | st.sampled_from(["bob", "eve", "mia"]), max_size=5)


def grown(epoch: SessionEpoch, users: list[str | None], *, at: datetime) -> SessionEpoch:
    for number, user in enumerate(users):
        then = at + timedelta(minutes=number)
        epoch = epoch.revoked(at=then) if user is None else epoch.revoked_for(user, at=then)
    return epoch


@given(steps, steps, steps, st.sampled_from([2032, 2033]))
def test_merging_ends_what_either_has_ended(
    common: list[str | None], one: list[str | None], other: list[str | None], year: int
) -> None:
    """A store that lost a revocation must not bring a session back to life; an ancestor changes nothing."""
    start = grown(FIRST_EPOCH, common, at=datetime(2031, 1, 1, tzinfo=UTC))
    known = grown(start, one, at=datetime(2032, 1, 1, tzinfo=UTC))
    stored = grown(start, other, at=datetime(year, 1, 1, tzinfo=UTC))

    merged = merged_epochs(known, stored)

    assert merged == merged_epochs(stored, known)
    assert merged_epochs(known, start) == known
    for epoch in (known, stored):
        for user in ("bob", "eve", "zoe"):
            for stamp in range(epoch.generation + 1):
                if epoch.is_over(user, stamp=stamp, issued_at=None):
                    assert merged.is_over(user, stamp=stamp, issued_at=None), (user, stamp, merged)
