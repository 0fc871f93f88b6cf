"""The second proof over HTTP: which is asked for, what a wrong one costs, and that nothing else opens an emergency."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pyotp
import pytest

from quiesce.control import EnhancedMaintenanceModeService
from quiesce.control.proof_throttle import MOST_TRIES, SILENCE_SECONDS, ProofThrottle
from quiesce.model import Mode, Principal, StoreUnreachableError
from quiesce.stores import memory_items
from quiesce.stores.memory import MemoryStore
from quiesce.testing import FakeClock
from quiesce.web import PREFIX, ApiRequest, ApiResponse, MaintenanceStatusAPI

Service = EnhancedMaintenanceModeService
MakeService = Callable[..., Service]

TOKEN, KEY = "correct-horse-battery", "a-secret-key-of-the-tests"
ANN = Principal("ann", is_admin=True)
FIRE = {"reason": "fire", "mode": "emergency"}
PLAN = {**FIRE, "id": "w", "start": "2031-05-04T13:00:00Z"}


@pytest.fixture
def service(make_service: MakeService) -> Service:
    return make_service(admin_token=TOKEN, secret_key=KEY)


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock of the store in memory, in one place, for the test to move."""
    now = [1000.0]
    monkeypatch.setattr(memory_items, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def ask(
    service: Service,
    content: Mapping[str, Any],
    *,
    path: str = "enable",
    method: str = "POST",
    by: Principal | None = ANN,
    proof: str | None = None,
    **fields: Any,
) -> ApiResponse:
    """Send a command, by an admin of the application or (``by=None``) the token; ``proof`` is the header."""
    headers = {"content-type": "application/json", "host": "h", "origin": "http://h"}
    if by is None:
        headers["authorization"] = f"Bearer {TOKEN}"
    if proof is not None:
        headers["x-maintenance-proof"] = proof
    body = json.dumps({**content, **fields}).encode()
    request = ApiRequest(method=method, path=f"{PREFIX}/{path}", headers=headers, body=body, principal=by)
    return MaintenanceStatusAPI(service).handle(request)


def told(answer: ApiResponse) -> tuple[int, str | None]:
    document = json.loads(answer.body)
    return answer.status, document.get("proof")


def is_on(service: Service) -> bool:
    return service.get_maintenance_status().is_active


def codes(service: Service, clock: FakeClock, name: str = "ann") -> Callable[[], str]:
    """Enrol an operator; return what tells the code of the moment."""
    enrolment = service.operators.prepare(name)
    service.operators.enroll(enrolment, code=None, actor="ops")
    return lambda: pyotp.TOTP(enrolment.secret).at(clock.now())


def trail(service: Service) -> list[tuple[str, str]]:
    return [(r.action, r.detail) for r in service.store.audit() if r.action.startswith("proof.")]


# -- which proof


def test_who_has_the_token_gives_it_again(service: Service) -> None:
    """A command that was sent by mistake, or replayed by a page that has a session only, opens nothing."""
    assert told(ask(service, FIRE, by=None)) == (401, "token")
    assert told(ask(service, FIRE, by=None, proof="wrong")) == (403, "token")
    assert not is_on(service)

    assert ask(service, FIRE, by=None, proof=TOKEN).status == 200

    assert is_on(service)


def test_an_enrolled_admin_gives_a_code(service: Service, clock: FakeClock) -> None:
    """A stolen session is not enough; and the token is no substitute for the code."""
    code = codes(service, clock)

    assert told(ask(service, FIRE)) == (401, "code")
    assert told(ask(service, FIRE, proof=TOKEN)) == (403, "code")
    assert not is_on(service)
    used = code()
    assert ask(service, FIRE, proof=used, surprise=1).status == 400  # and the code is good still
    assert ask(service, {**FIRE, "proof": used}).status == 200
    service.disable(actor="ops")
    assert told(ask(service, FIRE, proof=used)) == (403, "code")


def test_an_admin_who_is_not_enrolled_gives_the_token(service: Service) -> None:
    """There is a second factor for everybody."""
    assert told(ask(service, FIRE)) == (401, "token")
    assert ask(service, FIRE, proof=TOKEN).status == 200


def test_without_any_second_factor_the_answer_says_what_to_do(make_service: MakeService) -> None:
    """Nobody should find out in the emergency, and then at least be told how."""
    service = make_service(secret_key=KEY)

    answer = ask(service, FIRE, proof="")

    assert answer.status == 403
    assert all(word in answer.body for word in (b"quiesce operator enroll", b"MAINTENANCE_ADMIN_TOKEN"))
    assert ask(service, FIRE, proof="anything").status == 403
    assert trail(service) == []


def test_the_field_counts_before_the_header(service: Service) -> None:
    """One request is one try."""
    assert told(ask(service, {**FIRE, "proof": "wrong"}, by=None, proof=TOKEN)) == (403, "token")
    assert ask(service, {**FIRE, "proof": TOKEN}, by=None, proof="wrong").status == 200


@pytest.mark.parametrize("proof", ["\ud800", "٣" * 6, "1" * 60_000, " ", "0" * 6 + "\n"])
def test_hostile_proofs_are_wrong_ones(service: Service, clock: FakeClock, proof: str) -> None:
    """Whatever a client sends is answered."""
    codes(service, clock)

    assert ask(service, {**FIRE, "proof": proof}).status in {400, 403}
    assert ask(service, {**FIRE, "proof": proof}, by=None).status in {400, 403}
    assert not is_on(service)


# -- what needs it


@pytest.mark.parametrize("mode", ["normal", "test", None])
def test_other_modes_need_no_proof(service: Service, mode: str | None) -> None:
    """A planned window is no emergency."""
    assert ask(service, {"reason": "r", "mode": mode}).status == 200
    assert ask(service, {**PLAN, "mode": mode, "overlap": True}, path="windows").status == 201


@pytest.mark.parametrize("mode", ["Emergency", "EMERGENCY", " emergency", "emergency ", ["emergency"], 1, ""])
def test_no_other_spelling_is_an_emergency(service: Service, mode: Any) -> None:
    """What needs no proof must not open one."""
    assert ask(service, {"reason": "r", "mode": mode}).status == 400
    assert ask(service, {**PLAN, "mode": mode}, path="windows").status == 400
    assert not is_on(service)


def test_planning_an_emergency_needs_it_too(service: Service) -> None:
    """One that begins in a second is as good as one that begins now."""
    assert told(ask(service, PLAN, path="windows")) == (401, "token")
    assert ask(service, PLAN, path="windows", proof=TOKEN).status == 201

    moved = {"start": "2031-05-04T12:00:01Z"}
    assert told(ask(service, moved, path="windows/w", method="PATCH")) == (401, "token")
    assert ask(service, moved, path="windows/w", method="PATCH", proof=TOKEN).status == 200


def test_a_plan_does_not_become_an_emergency_without_it(service: Service) -> None:
    """And ceases to be one without: that takes something back."""
    assert ask(service, {**PLAN, "mode": "normal"}, path="windows").status == 201

    assert ask(service, {"reason": "later"}, path="windows/w", method="PATCH").status == 200
    assert ask(service, {"mode": "emergency"}, path="windows/w", method="PATCH").status == 401
    assert ask(service, {"mode": "emergency"}, path="windows/w", method="PATCH", proof=TOKEN).status == 200
    assert ask(service, {"mode": "normal"}, path="windows/w", method="PATCH").status == 200
    assert ask(service, {}, path="windows/w", method="DELETE").status == 200
    assert ask(service, {"reason": "x"}, path="windows/nothing", method="PATCH").status == 404


def test_one_night_of_an_emergency_schedule_needs_it(service: Service) -> None:
    """It is in no list of windows until it is changed."""
    assert ask(service, {**PLAN, "rrule": "FREQ=DAILY", "timeout": 60}, path="windows", proof=TOKEN).status == 201
    (night, *_) = service.schedule.agenda().windows
    assert night.mode is Mode.EMERGENCY

    assert ask(service, {"reason": "x"}, path=f"windows/{night.id}", method="PATCH").status == 401


def test_a_proof_where_none_is_needed_is_not_looked_at(service: Service, clock: FakeClock) -> None:
    """A client may send it always."""
    code = codes(service, clock)

    assert ask(service, {"reason": "r"}, proof="wrong").status == 200
    assert trail(service) == []
    assert ask(service, FIRE, proof=code()).status == 200


# -- five tries


def test_five_wrong_ones_bring_silence(service: Service, clock: FakeClock, seconds: list[float]) -> None:
    """A code has a million values, and each try has three chances: nobody may go on trying."""
    code = codes(service, clock)
    left = [json.loads(ask(service, FIRE, proof="000").body)["tries_left"] for _ in range(MOST_TRIES)]
    seconds[0] += 100.5

    silenced = ask(service, FIRE, proof=code())

    assert left == [4, 3, 2, 1, 0]
    assert told(silenced) == (429, "code")
    assert dict(silenced.headers)["retry-after"] == "800"
    assert ask(service, FIRE).status == 429
    assert not is_on(service)
    seconds[0] += SILENCE_SECONDS - 101
    assert ask(service, FIRE, proof=code()).status == 429
    seconds[0] += 2
    assert ask(service, FIRE, proof=code()).status == 200
    assert trail(service) == [
        *(("proof.wrong", f"a wrong code, number {number} of 5 in a row") for number in range(1, 6)),
        ("proof.silenced", "for 15 minutes"),
        ("proof.silence_over", "2 tries were turned away in it"),
    ]


def test_a_right_one_forgives(service: Service) -> None:
    """Only those in a row count."""
    for _ in range(3):
        for _ in range(MOST_TRIES - 1):
            assert ask(service, FIRE, proof="wrong").status == 403
        assert ask(service, FIRE, proof=TOKEN).status == 200
        service.disable(actor="ops")


def test_old_tries_count_no_more(service: Service, seconds: list[float]) -> None:
    """Five within fifteen minutes: each is forgotten when its time has come, not when there was a pause."""
    for _ in range(MOST_TRIES - 1):
        assert ask(service, FIRE, proof="wrong").status == 403
        seconds[0] += 300
    assert json.loads(ask(service, FIRE, proof="wrong").body)["tries_left"] == 2
    seconds[0] += SILENCE_SECONDS + 1

    assert json.loads(ask(service, FIRE, proof="wrong").body)["tries_left"] == 4


def test_missing_proofs_are_no_tries(service: Service) -> None:
    """A client learns from the first answer what to ask for."""
    assert {ask(service, FIRE).status for _ in range(2 * MOST_TRIES)} == {401}
    assert ask(service, FIRE, proof=TOKEN).status == 200


def test_silence_is_for_one_operator_and_for_http(service: Service) -> None:
    """Whoever is locked out has colleagues and a shell."""
    for _ in range(MOST_TRIES):
        ask(service, FIRE, proof="wrong")

    assert ask(service, FIRE, proof=TOKEN).status == 429
    assert ask(service, {"reason": "r"}, proof="wrong").status == 200
    assert ask(service, FIRE, by=Principal("bob", is_admin=True), proof=TOKEN).status == 200
    service.disable(end_all=True, actor="ops")
    assert service.enable(reason="r", mode="emergency", actor="ann", source="cli").mode is Mode.EMERGENCY


def test_an_admin_of_the_application_cannot_silence_the_token(service: Service) -> None:
    """Whatever the application takes for a user's name."""
    nasty = Principal("admin-token", is_admin=True)
    for _ in range(MOST_TRIES):
        ask(service, FIRE, by=nasty, proof="wrong")

    assert ask(service, FIRE, by=nasty, proof=TOKEN).status == 429
    assert ask(service, FIRE, by=None, proof=TOKEN).status == 200


def test_many_at_once_have_no_more_tries(make_service: MakeService, sqlite_url: str) -> None:
    """Sixteen requests to four processes at one moment are five tries, like one after another."""
    services = [make_service(sqlite_url, admin_token=TOKEN) for _ in range(4)]
    barrier = threading.Barrier(16)
    answers: list[int] = []

    def try_it(service: Service) -> None:
        barrier.wait(20)
        answers.append(ask(service, FIRE, proof="wrong").status)

    threads = [threading.Thread(target=try_it, args=(services[number % 4],)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == [403] * 5 + [429] * 11
    assert ask(services[0], FIRE, proof=TOKEN).status == 429
    assert [action for action, _ in trail(services[0])].count("proof.wrong") == 5
    assert [action for action, _ in trail(services[0])].count("proof.silenced") == 1


def test_a_silence_is_not_made_longer_by_trying(seconds: list[float]) -> None:
    """Or somebody who tries on could lock an operator out for good."""
    throttle = ProofThrottle(MemoryStore().items)
    for _ in range(MOST_TRIES):
        throttle.claim("ann")
    for _ in range(10):
        seconds[0] += 89
        assert throttle.claim("ann").silent_seconds > 0
        throttle.note_turned_away("ann")
    seconds[0] += 11

    assert throttle.silent_seconds("ann") == 0
    assert throttle.claim("ann") == throttle.claim("bob").__class__(1, turned_away=10)
    assert throttle.claim("ann").turned_away == 0


# -- what cannot be checked is not let through


class LostItems:
    """Collections of a store that does not answer any more."""

    def __getattr__(self, name: str) -> Any:
        raise StoreUnreachableError("it is gone")


def test_a_store_that_is_away_lets_nobody_through(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the count of tries everybody could try for ever."""
    monkeypatch.setattr(MemoryStore, "items", property(lambda _: LostItems()))

    assert ask(service, FIRE, proof=TOKEN).status == 503
    assert ask(service, FIRE, by=None, proof=TOKEN).status == 503
    assert not is_on(service)


def test_a_wrong_key_lets_nobody_through(make_service: MakeService, sqlite_url: str, clock: FakeClock) -> None:
    """And says so, without costing the operator a try; the token is not taken in place of the code."""
    code = codes(make_service(sqlite_url, secret_key=KEY), clock)()
    other = make_service(sqlite_url, secret_key="another-key-of-the-tests", admin_token=TOKEN)

    answers = [ask(other, FIRE, proof=proof) for proof in (code, TOKEN) * 4]

    assert {answer.status for answer in answers} == {503}
    assert b"MAINTENANCE_SECRET_KEY" in answers[0].body
    assert not is_on(other)
    assert ask(make_service(sqlite_url, secret_key=KEY), FIRE, proof=code).status == 200


def test_without_the_extra_nobody_gets_through(
    service: Service, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that was deployed without it asks for no weaker proof."""
    code = codes(service, clock)
    monkeypatch.setitem(sys.modules, "pyotp", None)

    answers = [ask(service, FIRE, proof=proof) for proof in ("123456", TOKEN)]

    assert [answer.status for answer in answers] == [503, 503]
    assert b"quiesce[totp]" in answers[0].body
    monkeypatch.undo()
    assert ask(service, FIRE, proof=code()).status == 200


def test_no_answer_and_no_trail_holds_a_secret(service: Service, clock: FakeClock) -> None:
    """What was typed wrongly may be a password that was meant for another field."""
    code = codes(service, clock)
    said = b"".join(ask(service, FIRE, proof=proof).body for proof in (TOKEN, "hunter2-hunter2", "123"))

    assert ask(service, FIRE, proof=code()).status == 200

    kept = said + repr(service.store.audit(limit=100)).encode()
    assert TOKEN.encode() not in kept
    assert b"hunter2" not in kept
