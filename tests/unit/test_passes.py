"""Bypass passes: who passes closed windows with one, who does not, and what is kept of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce import (
    BypassPass,
    ConflictError,
    EnhancedMaintenanceModeService,
    InvalidValueError,
    MaintenanceState,
    NoSuchPassError,
    NoSuchWindowError,
    OperationRefusedError,
    OperationType,
    Outcome,
    Principal,
    Settings,
    SettingsError,
    current_caller,
)
from quiesce.control.passes import MOST_PASSES
from quiesce.model import CallerKind, CountKey
from quiesce.model.codec import decode_state
from quiesce.testing import FakeClock, eventually
from quiesce.testing.clock import NOON

KEY = "a-secret-key-of-the-tests"
PAYMENTS = OperationType("payments", "Taking money", "Payments are paused.")
HOUR = timedelta(hours=1)
LIKELY = st.from_regex(r"[0-9a-f]{16}\.[A-Za-z0-9_-]{43}", fullmatch=True)
"""Texts of the right form."""

Service = EnhancedMaintenanceModeService
MakeService = Callable[..., Service]


@pytest.fixture
def service(make_service: MakeService) -> Service:
    return make_service(secret_key=KEY, operations=(PAYMENTS,))


@pytest.fixture(scope="module")
def closed_service() -> Iterator[Service]:
    """One service with a window open and a pass out, for many questions."""
    service = EnhancedMaintenanceModeService(Settings(store_url="memory://", secret_key=KEY))
    issue(service)
    service.enable(reason="work", actor="ops")
    yield service
    service.close()


def ask(service: Service, text: str = "", *, method: str = "POST", path: str = "/orders", cookie: str = "") -> Outcome:
    """Send one request with this pass through the gate, as an adapter does, and say what became of it."""
    gate = service.gate
    token = gate.enter(method, path)
    if token > 0:
        gate.leave(token)
        return Outcome.PASSED
    decision = gate.judge(-token) or gate.revive_and_judge(-token)
    if not decision.is_allowed:
        decision = gate.passes.admit(-token, decision, header=text, cookie=cookie) or decision
    gate.leave(-token)
    return decision.outcome


def issue(service: Service, **asked: Any) -> str:
    """Issue a pass for Ann, and return what she is given."""
    return service.passes.issue(**{"name": "QA, Ann", "actor": "ops", **asked}).text


class TestWhatItOpens:
    """A pass is no key to everything."""

    def test_it_opens_a_normal_window_and_only_to_its_holder(self, service: Service) -> None:
        """Testers look behind the maintenance page, everybody else still sees it."""
        text = issue(service)
        service.enable(reason="work", actor="ops")

        assert ask(service, text) is Outcome.BYPASSED
        assert ask(service) is Outcome.REFUSED
        assert ask(service, cookie=f"a=b; maintenance_pass={text}; c=d") is Outcome.BYPASSED
        assert ask(service, text, method="GET") is Outcome.PASSED

    def test_it_opens_no_emergency_unless_it_says_so(self, service: Service) -> None:
        """What was handed out for a planned window must not let anybody in when the house burns."""
        tester, responder = issue(service), issue(service, name="Responder", emergency=True)
        service.enable(reason="work", actor="ops")
        service.enable(reason="fire", mode="emergency", actor="ops")

        assert ask(service, tester) is Outcome.REFUSED
        assert ask(service, tester, method="GET") is Outcome.REFUSED
        assert ask(service, responder) is Outcome.BYPASSED
        assert ask(service, responder, method="GET") is Outcome.BYPASSED

    def test_it_must_open_every_window_that_refuses(self, service: Service) -> None:
        """Windows add up; a pass for one is none for what the other one closes as well."""
        first = service.enable(reason="one", operations=["payments"], actor="ops")
        second = service.enable(reason="two", overlap=True, actor="ops")
        one, two = issue(service, window_id=first.id), issue(service, window_id=second.id)
        service.classifier.add_custom_classification("/pay", "payments")

        assert [ask(service, text, path="/pay") for text in (one, two)] == [Outcome.REFUSED] * 2
        assert [ask(service, text) for text in (one, two)] == [Outcome.REFUSED, Outcome.BYPASSED]
        service.disable(window_id=second.id, actor="ops")
        assert [ask(service, text, path="/pay") for text in (one, two)] == [Outcome.BYPASSED, Outcome.REFUSED]

    def test_every_reading_of_a_strange_path_counts(self, service: Service) -> None:
        """A spelling that another server reads as what an emergency closes must not pass by its other reading."""
        service.classifier.add_custom_classification("/pay", "payments")
        service.classifier.add_custom_classification("/jobs", "batch_operations")
        service.enable(reason="work", actor="ops")
        service.enable(reason="fire", mode="emergency", operations=["payments"], actor="ops")
        text = issue(service)

        assert ask(service, text, path="/jobs/x") is Outcome.BYPASSED
        assert ask(service, text, path="/jobs/%2e%2e/pay") is Outcome.REFUSED

    def test_a_window_to_come_can_be_named(self, service: Service, clock: FakeClock) -> None:
        """Passes are handed out before the night, not in it."""
        planned = service.schedule.add(reason="tonight", start=NOON + HOUR, plan_id="tonight", actor="ops")
        text = issue(service, window_id=planned.id, lifetime=timedelta(hours=3))
        service.enable(reason="now", timeout=600, actor="ops")

        assert ask(service, text) is Outcome.REFUSED
        clock.advance(3600)
        assert ask(service, text) is Outcome.BYPASSED

    def test_it_says_nothing_of_a_store_that_is_out_of_reach(self, make_service: MakeService) -> None:
        """Without the store nobody hears of revocations, and `refuse-writes` is there to be safe."""
        service = make_service(secret_key=KEY, on_stale="refuse-writes")
        text = issue(service)
        service.gate.extend_lease(seconds=60, is_stale=True)
        without_window = ask(service, text)
        service.gate.extend_lease(seconds=60, is_stale=False)
        service.enable(reason="work", actor="ops")
        service.gate.extend_lease(seconds=60, is_stale=False)
        before = ask(service, text)

        service.gate.extend_lease(seconds=60, is_stale=True)

        assert (without_window, before) == (Outcome.REFUSED, Outcome.BYPASSED)
        assert ask(service, text) is Outcome.REFUSED

    def test_a_guard_asks_for_it_too(self, service: Service) -> None:
        """What only the code knows to be a payment is opened as a request is, and marked as a bypass."""
        text = issue(service)
        guard = service.guard("payments")
        service.enable(reason="work", actor="ops")
        former = current_caller.set(Holder(text))
        try:
            with guard:
                seen = service.gate.acknowledge()
            service.enable(reason="fire", mode="emergency", actor="ops")
            with pytest.raises(OperationRefusedError), guard:
                pytest.fail("must not run")
        finally:
            current_caller.reset(former)

        assert (seen.bypassing, dict(seen.in_flight)) == (1, {})
        assert not service.gate.in_flight

    def test_it_is_marked_counted_and_not_waited_for(self, service: Service) -> None:
        """Protocol rule 5, as for an administrator."""
        text = issue(service)
        window = service.enable(reason="work", actor="ops")
        gate = service.gate
        token = -gate.enter("POST", "/orders")
        decision = gate.judge(token) or gate.revive_and_judge(token)

        passed = gate.passes.admit(token, decision, header=text)
        seen = gate.acknowledge()
        gate.leave(token)

        assert passed is not None
        assert passed.outcome is Outcome.BYPASSED
        assert (seen.bypassing, dict(seen.in_flight)) == (1, {})
        key = CountKey(window.id, "user_data_modification", Outcome.BYPASSED, caller=CallerKind.PASS)
        eventually(lambda: service.blocked_counts().get(key) == 1)


class Holder:
    """A caller as an adapter makes it, who carries a pass and whom the application does not know."""

    def __init__(self, text: str) -> None:
        self._text = text

    def identify(self) -> Principal | None:
        return None

    async def identify_async(self) -> Principal | None:
        return None

    def pass_fields(self) -> tuple[str, str]:
        return self._text, ""


class TestItsEnd:
    """A pass ends by itself, or at once."""

    def test_it_expires_by_the_clock(self, service: Service, clock: FakeClock) -> None:
        """An hour, unless it says otherwise; the instant of its end does not belong to it."""
        text = issue(service)
        service.enable(reason="work", actor="ops")

        clock.advance(3599)
        assert ask(service, text) is Outcome.BYPASSED
        clock.advance(1)
        assert ask(service, text) is Outcome.REFUSED

    def test_it_is_refused_from_the_revocation_on_in_every_process(
        self, make_service: MakeService, sqlite_url: str
    ) -> None:
        """A pass that was sent to the wrong person must be worthless by the next request."""
        operator = make_service(sqlite_url)
        workers = [make_service(sqlite_url, secret_key=KEY) for _ in range(2)]
        text = issue(workers[0])
        operator.enable(reason="work", actor="ops")
        assert [ask(worker, text) for worker in workers] == [Outcome.BYPASSED] * 2

        operator.passes.revoke("QA, Ann", actor="ops")

        assert [ask(worker, text) for worker in workers] == [Outcome.REFUSED] * 2
        assert ask(make_service(sqlite_url, secret_key=KEY), text) is Outcome.REFUSED

    def test_a_name_revokes_all_of_it_and_an_id_one(self, service: Service) -> None:
        """Who lost a pass and got a second one has two."""
        first, second, third = (service.passes.issue(name="Ann", actor="ops") for _ in range(3))
        other = service.passes.issue(name="Bob", actor="ops")

        by_id = service.passes.revoke(first.granted.id, actor="ops")
        by_name = service.passes.revoke("Ann", actor="ops")

        assert [each.id for each in by_id] == [first.granted.id]
        assert {each.id for each in by_name} == {second.granted.id, third.granted.id}
        assert service.passes.live() == (other.granted,)

    @pytest.mark.parametrize("how", ["unknown", "revoked", "expired"])
    def test_only_a_live_one_can_be_revoked(self, service: Service, clock: FakeClock, how: str) -> None:
        """An operator who mistypes a name must not believe that it is done."""
        issue(service)
        if how == "revoked":
            service.passes.revoke("QA, Ann", actor="ops")
        elif how == "expired":
            clock.advance(3600)
        before = service.store.load()

        with pytest.raises(NoSuchPassError, match="Ann"):
            service.passes.revoke("Ann" if how == "unknown" else "QA, Ann", actor="ops")

        assert service.store.load() == before


class TestForgery:
    """Neither the key nor the store alone lets anybody in."""

    def test_no_text_but_the_one_that_was_handed_out_passes(self, service: Service) -> None:
        """Every change of every character is another text."""
        text = issue(service)
        service.enable(reason="work", actor="ops")
        changed = {text[:i] + ("A" if text[i] != "A" else "B") + text[i + 1 :] for i in range(len(text))}
        # Two bits of the last character say nothing in base64.
        changed |= {text[:-1] + last for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"}
        changed |= {text[:-1], text + "A", text.upper(), f" {text}", f"{text},{text}", text[:16], text[17:], ""}

        assert {ask(service, each) for each in changed - {text}} == {Outcome.REFUSED}
        assert ask(service, text) is Outcome.BYPASSED
        assert {ask(service, each) for each in changed - {text}} == {Outcome.REFUSED}

    def test_one_that_a_former_key_signed_is_good(self, make_service: MakeService, sqlite_url: str) -> None:
        """A key is changed without handing out all passes anew; the new one alone takes none of the former's."""
        text = issue(make_service(sqlite_url, secret_key=KEY))
        for keys, outcome in (("a-newer-secret-key," + KEY, Outcome.BYPASSED), ("a-newer-secret-key", Outcome.REFUSED)):
            worker = make_service(sqlite_url, secret_key=keys)
            if not worker.get_maintenance_status().is_active:
                worker.enable(reason="work", actor="ops")
            assert ask(worker, text) is outcome

    def test_another_key_signs_for_nobody_and_the_log_says_so_once(
        self, make_service: MakeService, sqlite_url: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The command line in a shell with another key is the likeliest mistake, and a 503 explains nothing."""
        worker = make_service(sqlite_url, secret_key=KEY)
        text = issue(make_service(sqlite_url, secret_key="another-secret-key"))
        worker.enable(reason="work", actor="ops")

        with caplog.at_level(logging.WARNING, logger="quiesce"):
            assert {ask(worker, text) for _ in range(3)} == {Outcome.REFUSED}

        (warning,) = [record.getMessage() for record in caplog.records if "wrong signature" in record.getMessage()]
        assert "MAINTENANCE_SECRET_KEY" in warning
        assert "QA, Ann" in warning
        assert KEY not in warning
        assert text not in warning

    def test_the_key_alone_makes_no_pass(self, make_service: MakeService) -> None:
        """Who reads the key somewhere must also be able to write to the store, and then the audit trail has it."""
        elsewhere, service = make_service(secret_key=KEY), make_service(secret_key=KEY)
        text = issue(elsewhere)
        issue(service)
        service.enable(reason="work", actor="ops")

        assert ask(service, text) is Outcome.REFUSED

    def test_without_a_key_none_is_issued_and_none_is_taken(self, make_service: MakeService, sqlite_url: str) -> None:
        """There is no default key, which everybody would know."""
        keyless = make_service(sqlite_url)
        text = issue(make_service(sqlite_url, secret_key=KEY))
        keyless.enable(reason="work", actor="ops")

        with pytest.raises(SettingsError, match="MAINTENANCE_SECRET_KEY"):
            issue(keyless)
        assert ask(keyless, text) is Outcome.REFUSED
        assert len(keyless.passes.live()) == 1

    @pytest.mark.parametrize(
        "hostile",
        [
            *(
                "\x00",
                "\xff" * 8192,
                "." * 8192,
                "0" * 16 + "." + "\u0660" * 43,
                "a" * 8192,
                "\ud800",
                "%s{}",
                "\r\nX: y",
            ),
            *("0123456789abcdef." * 500, "maintenance_pass=" * 480, "maintenance_pass=;" * 450, "; " * 4000),
            *(";" + " " * 8000 + "maintenance_pass", 'maintenance_pass="' + "a" * 8000),
        ],
        ids=lambda text: repr(text)[:20],
    )
    def test_hostile_values_are_no_pass_and_no_error(self, service: Service, hostile: str) -> None:
        """Whoever can send a request can send anything with it."""
        text = issue(service)
        service.enable(reason="work", actor="ops")

        assert ask(service, hostile, cookie=hostile) is Outcome.REFUSED
        assert ask(service, hostile, cookie=f"maintenance_pass={text}; {hostile}") is Outcome.BYPASSED

    @given(st.text(max_size=80) | LIKELY, st.text(max_size=200) | LIKELY.map("maintenance_pass={}; x=y".format))
    def test_any_text_is_refused_without_an_error(self, closed_service: Service, header: str, cookie: str) -> None:
        """The same for what nobody thought of."""
        assert ask(closed_service, header, cookie=cookie) is Outcome.REFUSED

    @pytest.mark.parametrize(
        "cookie",
        [
            "maintenance_pass={}",
            "x=y;maintenance_pass={};",
            'maintenance_pass="{}"',
            "maintenance_pass=old; maintenance_pass={}",
        ],
    )
    def test_the_cookie_is_found_as_browsers_send_it(self, service: Service, cookie: str) -> None:
        """One of another path or of a parent domain may stand before it."""
        text = issue(service)
        service.enable(reason="work", actor="ops")

        assert ask(service, cookie=cookie.format(text)) is Outcome.BYPASSED

    @pytest.mark.parametrize("cookie", ["xmaintenance_pass={}", "maintenance_pass={}x", "a=maintenance_pass={}", "{}"])
    def test_another_cookie_is_not_taken_for_it(self, service: Service, cookie: str) -> None:
        """What merely contains a pass was not set as one."""
        text = issue(service)
        service.enable(reason="work", actor="ops")

        assert ask(service, cookie=cookie.format(text)) is Outcome.REFUSED


class TestIssuing:
    """What an operator may ask for, and what is written down."""

    def test_issuing_and_revoking_are_audited_with_the_commit(self, service: Service) -> None:
        """Afterwards somebody asks who was let in, and by whom; the trail holds nothing that opens."""
        window = service.enable(reason="work", actor="ops")
        issued = service.passes.issue(name="QA, Ann", window_id=window.id, actor="carol@web1", source="cli")
        service.passes.revoke("QA, Ann", actor="dave@web1", source="cli")

        _, first, last = service.store.audit()

        assert (first.actor, first.source, first.action) == ("carol@web1", "cli", "pass.issued")
        assert first.window_id == window.id
        assert all(fact in first.detail for fact in (issued.granted.id, "QA, Ann", "2031-05-04T13:00:00Z"))
        assert (last.actor, last.action, last.window_id) == ("dave@web1", "pass.revoked", window.id)
        assert issued.text not in first.detail + last.detail
        assert issued.text not in repr(issued)

    @pytest.mark.parametrize(
        ("asked", "field"),
        [
            ({"name": ""}, "name"),
            ({"name": "x" * 65}, "name"),
            ({"name": "two\nlines"}, "name"),
            ({"name": 7}, "name"),
            ({"lifetime": 0}, "lifetime"),
            ({"lifetime": -1}, "lifetime"),
            ({"lifetime": True}, "lifetime"),
            ({"lifetime": float("nan")}, "lifetime"),
            ({"lifetime": 86401}, "lifetime"),
            ({"lifetime": timedelta(days=2)}, "lifetime"),
            ({"actor": ""}, "actor"),
        ],
        ids=str,
    )
    def test_what_is_not_valid_is_named_and_changes_nothing(
        self, service: Service, asked: dict[str, Any], field: str
    ) -> None:
        """A pass for a month is a hole that everybody has forgotten."""
        with pytest.raises(InvalidValueError) as refused:
            issue(service, **asked)

        assert refused.value.field == field
        assert service.store.revision() == 0

    def test_the_window_must_be_one_that_refuses_something_still(self, service: Service) -> None:
        """A pass for a window that is over, or an emergency by mistake, would disappoint in the worst hour."""
        over = service.enable(reason="over", actor="ops")
        service.disable(actor="ops")
        rehearsal = service.enable(reason="rehearsal", mode="test", actor="ops")
        fire = service.enable(reason="fire", mode="emergency", actor="ops")

        for window_id in ("nothing", over.id):
            with pytest.raises(NoSuchWindowError):
                issue(service, window_id=window_id)
        for window_id in (rehearsal.id, fire.id):
            with pytest.raises(InvalidValueError, match="window_id"):
                issue(service, window_id=window_id)
        assert ask(service, issue(service, window_id=fire.id, emergency=True)) is Outcome.BYPASSED

    def test_a_day_is_the_most(self, service: Service) -> None:
        """Long enough for a night and the morning after."""
        issued = service.passes.issue(name="x", lifetime=86400, actor="ops")

        assert issued.granted.expires_at == NOON + timedelta(days=1)

    def test_there_is_a_bound_and_what_has_expired_makes_room(self, service: Service, clock: FakeClock) -> None:
        """The state is carried to every process, and must fit onto the board."""
        for number in range(MOST_PASSES):
            issue(service, name=f"{number}" + "\U0001f6a7" * 62)
        before = service.store.load()

        with pytest.raises(ConflictError, match="50"):
            issue(service)
        assert service.store.load() == before
        clock.advance(3600)
        issue(service)
        assert [each.name for each in service.store.load().passes] == ["QA, Ann"]

    def test_those_that_are_out_are_listed_by_their_end(self, service: Service, clock: FakeClock) -> None:
        """Before an operator closes for good, they look who still gets in."""
        issue(service, name="late", lifetime=7200)
        issue(service, name="soon", lifetime=60)
        issue(service, name="gone", lifetime=30)
        issue(service, name="revoked")
        service.passes.revoke("revoked", actor="ops")
        clock.advance(30)

        assert [each.name for each in service.passes.live()] == ["soon", "late"]

    def test_explain_knows_which_pass_opens(self, service: Service) -> None:
        """An operator asks why a tester is refused before they ask the tester."""
        issue(service, name="tester")
        issue(service, name="responder", emergency=True)
        service.enable(reason="work", actor="ops")
        normal = service.passes.opening("post", "/orders")
        service.enable(reason="fire", mode="emergency", actor="ops")

        assert [each.name for each in normal] == ["tester", "responder"]
        assert [each.name for each in service.passes.opening("GET", "/orders")] == ["responder"]

    def test_another_commit_keeps_them(self, service: Service, clock: FakeClock) -> None:
        """Windows come, go and are forgotten; who was let in stays let in."""
        text = issue(service, lifetime=86400)
        service.schedule.add(reason="nightly", start=NOON + HOUR, rrule="FREQ=DAILY", plan_id="n", actor="ops")
        service.schedule.cancel("n", actor="ops")
        service.enable(reason="one", actor="ops")
        service.disable(actor="ops")
        clock.advance(3600)
        service.enable(reason="two", actor="ops")

        assert len(service.store.load().windows) == 1
        assert ask(service, text) is Outcome.BYPASSED


def test_a_state_without_passes_reads_as_one_from_before_there_were_any() -> None:
    """A store that an older version wrote must open."""
    assert decode_state('{"revision":1,"windows":[],"schedules":[],"commits":[]}') == MaintenanceState(1)


def test_a_pass_tells_nothing_in_its_text(service: Service) -> None:
    """It is pasted into tickets and chats; whose it is and what it opens is nobody's business there."""
    issued = service.passes.issue(name="Ann", actor="ops")

    assert issued.text.startswith(issued.granted.id)
    assert len(issued.text) == 60
    assert issued.text.isascii()
    assert isinstance(issued.granted, BypassPass)
