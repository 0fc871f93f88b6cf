"""Planning through the service: what an operator asks for, what happens by the clock, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from quiesce.control import EnhancedMaintenanceModeService
from quiesce.model import (
    IdTakenError,
    InvalidValueError,
    MaintenanceWindow,
    Mode,
    NoSuchWindowError,
    QuiesceError,
    Schedule,
    WindowOpenError,
)
from quiesce.testing import FakeClock
from quiesce.testing.clock import NOON

MakeService = Callable[..., EnhancedMaintenanceModeService]
Service = EnhancedMaintenanceModeService

HOUR = timedelta(hours=1)


def add(service: Service, **fields: Any) -> MaintenanceWindow | Schedule:
    asked: dict[str, Any] = {"reason": "vacuum", "start": NOON + HOUR, "actor": "anna"}
    return service.schedule.add(**asked | fields)


def plan(service: Service, **fields: Any) -> MaintenanceWindow:
    planned = add(service, **fields)
    assert isinstance(planned, MaintenanceWindow)
    return planned


def plan_all(service: Service, **fields: Any) -> Schedule:
    planned = add(service, **{"rrule": "FREQ=DAILY"} | fields)
    assert isinstance(planned, Schedule)
    return planned


def kinds(service: Service) -> list[str]:
    return [str(event.kind) for event in service.store.events()]


def open_ids(service: Service) -> list[str]:
    return [window.id for window in service.get_maintenance_status().windows]


def test_a_planned_window_opens_and_ends_by_the_clock(any_service: Service, clock: FakeClock) -> None:
    """No timer, no process and no command is needed at either moment."""
    window = plan(any_service, timeout=HOUR, plan_id="vacuum-1")

    assert open_ids(any_service) == []
    clock.advance(3600)
    assert open_ids(any_service) == ["vacuum-1"]
    clock.advance(3599)
    assert open_ids(any_service) == ["vacuum-1"]
    clock.advance(1)
    assert open_ids(any_service) == []
    assert window.ends_at == NOON + 2 * HOUR


def test_all_that_is_asked_for_is_kept(service: Service) -> None:
    """What an operator wrote down is what everybody else reads."""
    window = plan(
        service,
        mode="emergency",
        duration=1800,
        end="2031-05-04T18:00",
        zone="Europe/Berlin",
        operations=["job_creation", "read_operations"],
        allow=["read_operations"],
        announce=[900, timedelta(days=1)],
        notify_users=False,
        ticket="OPS-7",
        owner="the database team",
    )

    assert window.mode is Mode.EMERGENCY
    assert window.estimated_duration == timedelta(minutes=30)
    assert window.ends_at == NOON + 4 * HOUR
    assert window.operations == frozenset({"job_creation", "read_operations"})
    assert window.allowed_operations == {"read_operations"}
    assert window.announce == (timedelta(days=1), timedelta(minutes=15))
    assert not window.notify_users
    assert (window.ticket, window.owner) == ("OPS-7", "the database team")


def test_a_schedule_opens_each_of_its_windows(any_service: Service, clock: FakeClock) -> None:
    """The process that shows the window has neither timer nor rule, only the instants."""
    schedule = plan_all(any_service, timeout=HOUR, plan_id="nightly")

    clock.advance(3600 + 2 * 86400)

    assert open_ids(any_service) == ["nightly.20310506T130000Z"]
    assert len(schedule.occurrences) == 32
    clock.advance(3600)
    assert open_ids(any_service) == []


def test_ending_one_of_a_schedules_windows_touches_no_other(any_service: Service, clock: FakeClock) -> None:
    """Tonight's is done early; tomorrow's must happen."""
    plan_all(any_service, timeout=HOUR, plan_id="nightly")
    clock.advance(3600)

    any_service.disable(actor="anna")

    assert open_ids(any_service) == []
    clock.advance(86400)
    assert open_ids(any_service) == ["nightly.20310505T130000Z"]


def test_cancelling_one_of_a_schedules_windows_touches_no_other(any_service: Service, clock: FakeClock) -> None:
    """Not tonight; but it must not come back either when long-past windows are cleared away."""
    plan_all(any_service, timeout=HOUR, plan_id="nightly")

    any_service.schedule.cancel("nightly.20310504T130000Z", actor="anna")

    clock.advance(1800)
    any_service.enable(reason="something else", mode="test", timeout=60, actor="bob")  # clears away what is over
    clock.advance(1800)
    assert open_ids(any_service) == []
    clock.advance(86400)
    assert open_ids(any_service) == ["nightly.20310505T130000Z"]


def test_the_last_known_of_a_schedules_windows_stays_cancelled(any_service: Service, clock: FakeClock) -> None:
    """When the coming windows are worked out anew, its rule would bring it back."""
    schedule = plan_all(any_service, timeout=HOUR, plan_id="nightly")
    last = schedule.window_id(schedule.occurrences[-1])

    any_service.schedule.cancel(last, actor="anna")

    for _ in range(31):
        clock.advance(86400)
        any_service.enable(reason="clears away what is over", mode="test", timeout=60, actor="bob")
    any_service.schedule.change("nightly", reason="works them out anew", actor="anna")
    assert last not in [window.id for window in any_service.schedule.agenda().windows]


def test_each_of_a_schedules_windows_is_told_of_once(service: Service, clock: FakeClock) -> None:
    """Also when long-past ones have been cleared away."""
    plan_all(service, timeout=HOUR, plan_id="nightly")

    for _ in range(24 * 4):
        clock.advance(3600)
        service.enable(reason="raises what is due", mode="test", timeout=60, actor="bob")

    told = [(event.window_id, event.kind) for event in service.store.events(limit=1000)]
    nights = [(window_id, str(kind)) for window_id, kind in told if window_id.startswith("nightly.")]
    assert len(nights) == len(set(nights))
    assert [kind for _, kind in nights].count("started") == [kind for _, kind in nights].count("ended") == 4


def test_cancelling_a_schedule_leaves_open_what_is_open(any_service: Service, clock: FakeClock) -> None:
    """A migration may run in it."""
    plan_all(any_service, timeout=HOUR, plan_id="nightly")
    clock.advance(3600)

    any_service.schedule.cancel("nightly", actor="anna")

    assert open_ids(any_service) == ["nightly.20310504T130000Z"]
    clock.advance(86400)
    assert open_ids(any_service) == []
    assert any_service.schedule.agenda().schedules == ()


def test_cancelling_a_window_touches_no_other(service: Service, clock: FakeClock) -> None:
    """Two plans are two plans, also when they overlap."""
    plan(service, plan_id="a")
    plan(service, plan_id="b", overlap=True)

    service.schedule.cancel("a", actor="anna")

    clock.advance(3600)
    assert open_ids(service) == ["b"]


def test_changing_a_window_changes_what_is_named(service: Service, clock: FakeClock) -> None:
    """Moved by an hour, it keeps its length and its reason."""
    plan(service, plan_id="a", timeout=HOUR, announce=[900])

    changed = service.schedule.change("a", start=NOON + 2 * HOUR, ticket="OPS-8", actor="bob")

    assert isinstance(changed, MaintenanceWindow)
    assert (changed.starts_at, changed.ends_at) == (NOON + 2 * HOUR, NOON + 3 * HOUR)
    assert (changed.reason, changed.ticket, changed.owner) == ("vacuum", "OPS-8", "anna")
    assert kinds(service) == ["scheduled", "changed"]
    clock.advance(3600)
    assert open_ids(service) == []


def test_changing_a_schedule_keeps_what_is_open(service: Service, clock: FakeClock) -> None:
    """The new rule is about what is to come."""
    plan_all(service, timeout=HOUR, plan_id="nightly")
    clock.advance(3600 + 60)

    service.schedule.change("nightly", rrule="FREQ=WEEKLY;BYDAY=SU", actor="anna")

    assert open_ids(service) == ["nightly.20310504T130000Z"]
    coming = [window.starts_at for window in service.schedule.agenda().windows][1:3]
    assert coming == [NOON + HOUR + timedelta(days=7), NOON + HOUR + timedelta(days=14)]


def test_what_is_open_cannot_be_cancelled_or_changed(service: Service, clock: FakeClock) -> None:
    """It is ended or extended, by commands that say so."""
    plan(service, plan_id="a")
    clock.advance(3600)

    with pytest.raises(WindowOpenError, match="disable"):
        service.schedule.cancel("a", actor="anna")
    with pytest.raises(WindowOpenError, match="disable"):
        service.schedule.change("a", reason="x", actor="anna")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"start": NOON - HOUR}, "start"),
        ({"start": NOON}, "start"),
        ({"start": "yesterday"}, "start"),
        ({"start": "2031-03-30T02:30", "zone": "Europe/Berlin"}, "start"),
        ({"start": 7}, "start"),
        ({"start": "0001-01-01T00:00"}, "start"),
        ({"end": NOON + timedelta(minutes=30)}, "end"),
        ({"end": NOON + 2 * HOUR, "timeout": 60}, "end"),
        ({"end": NOON + timedelta(days=400)}, "end"),
        ({"duration": 7200, "timeout": 3600}, "timeout"),
        ({"timeout": -1}, "timeout"),
        ({"zone": "Mars/Olympus"}, "zone"),
        ({"rrule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}, "rrule"),
        ({"rrule": "FREQ=DAILY", "timeout": 2 * 86400}, "rrule"),
        ({"rrule": 7}, "rrule"),
        ({"mode": "strict"}, "mode"),
        ({"operations": ["nonsense"]}, "operations"),
        ({"allow": "job_creation"}, "allow"),
        ({"announce": [0]}, "announce"),
        ({"announce": range(1, 50)}, "announce"),
        ({"announce": 7}, "announce"),
        ({"reason": "x" * 2000}, "reason"),
        ({"reason": "a\nb"}, "reason"),
        ({"ticket": "x" * 501}, "ticket"),
        ({"plan_id": "a.b"}, "id"),
        ({"plan_id": "x" * 41}, "id"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(service: Service, fields: dict[str, Any], field: str) -> None:
    """A plan that is wrong is found out when it is made, not in the night in which it fires."""
    with pytest.raises(InvalidValueError) as caught:
        add(service, **fields)

    assert caught.value.field == field
    assert service.store.revision() == 0
    assert service.store.events() == ()


def test_two_plans_of_one_id_are_refused(service: Service) -> None:
    """An id names one thing; the second would silently replace the first."""
    plan(service, plan_id="a")

    for again in (plan, plan_all):
        with pytest.raises(IdTakenError):
            again(service, plan_id="a", mode="emergency")

    assert service.store.revision() == 1


def test_windows_of_one_mode_overlap_only_when_asked(service: Service, clock: FakeClock) -> None:
    """Two people who plan the same night should learn of each other; an emergency waits for nobody."""
    plan(service, plan_id="a", timeout=HOUR)
    plan_all(service, plan_id="w", rrule="FREQ=WEEKLY", start=NOON + timedelta(hours=3), timeout=HOUR)

    for start in (NOON + HOUR * 1.5, NOON + timedelta(days=7, hours=3)):
        with pytest.raises(WindowOpenError, match="open or planned"):
            plan(service, start=start)
    plan(service, start=NOON + 2 * HOUR, timeout=HOUR)
    plan(service, start=NOON + HOUR * 1.5, mode="emergency")
    plan(service, start=NOON + HOUR * 1.5, overlap=True)

    clock.advance(3600)
    with pytest.raises(WindowOpenError):
        service.enable(reason="now", actor="anna")
    service.enable(reason="now", actor="anna", overlap=True)
    service.enable(reason="now", actor="anna", mode="emergency")
    assert len(open_ids(service)) == 3


def test_unknown_ids_are_said_to_be_unknown(service: Service) -> None:
    """Nothing happens by guess."""
    with pytest.raises(NoSuchWindowError, match="ghost"):
        service.schedule.get("ghost")
    with pytest.raises(NoSuchWindowError, match="ghost"):
        service.schedule.cancel("ghost", actor="a")
    with pytest.raises(NoSuchWindowError, match="ghost"):
        service.schedule.change("ghost", reason="x", actor="a")


def test_a_change_of_nothing_is_refused(service: Service) -> None:
    """It would tell people of a change that is none."""
    plan(service, plan_id="a")

    with pytest.raises(InvalidValueError):
        service.schedule.change("a", actor="anna")
    with pytest.raises(InvalidValueError, match="rrule"):
        service.schedule.change("a", rrule="FREQ=DAILY", actor="anna")


def test_many_schedules_fit_and_too_many_are_refused(service: Service, clock: FakeClock) -> None:
    """The state must stay small enough for the memory that processes share, and ending must always work."""
    made = 0
    problem: InvalidValueError | None = None
    while problem is None:
        try:
            plan_all(service, start=NOON + HOUR, overlap=True, timeout=HOUR, reason="☂" * 1000)
            made += 1
        except InvalidValueError as exc:
            problem = exc

    assert "too many" in str(problem)
    assert made > 5
    clock.advance(3600)
    assert len(service.disable(end_all=True, actor="anna")) == made


@pytest.mark.parametrize("lost", ["all of them", "none"])
def test_every_process_agrees_on_the_instants(make_service: MakeService, sqlite_url: str, lost: str) -> None:
    """A service that starts after the plan was made, or after all were down, opens the same windows."""
    first = make_service(sqlite_url)
    planned = plan_all(first, plan_id="nightly", start="2031-05-05T02:30", zone="Europe/Berlin", timeout=HOUR)
    if lost == "all of them":
        first.close()

    second = make_service(sqlite_url)

    assert second.schedule.get("nightly") == planned
    assert [w.starts_at for w in second.schedule.agenda().windows] == list(planned.occurrences)


def test_racing_planners_of_one_night_learn_of_each_other(make_service: MakeService, sqlite_url: str) -> None:
    """Of two who press the button at once one gets the night, and the other a sentence."""
    services = [make_service(sqlite_url) for _ in range(2)]
    plan(services[0], plan_id="other", start=NOON + timedelta(days=2))
    outcomes: list[object] = []
    for number, service in enumerate(services):
        try:
            outcomes.append(plan(service, plan_id=f"p{number}"))
        except QuiesceError as exc:
            outcomes.append(type(exc))

    assert outcomes[1] is WindowOpenError
    assert isinstance(outcomes[0], MaintenanceWindow)


def test_the_calendar_has_an_end(service: Service) -> None:
    """Whatever is typed, the answer is a sentence."""
    with pytest.raises(InvalidValueError):
        plan(service, start="9999-12-31T23:59:59")
