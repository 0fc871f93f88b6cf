"""Operators' authenticators: enrolled, listed, removed, and each code accepted once in the whole cluster."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pyotp
import pytest

from quiesce.control import EnhancedMaintenanceModeService
from quiesce.control.operators import STEP_SECONDS, Enrolment
from quiesce.model import (
    ConflictError,
    InvalidValueError,
    MissingExtraError,
    NoSuchOperatorError,
    Operator,
    SettingsError,
    StoreCorruptError,
)
from quiesce.testing import FakeClock

Service = EnhancedMaintenanceModeService
MakeService = Callable[..., Service]

KEY = "a-secret-key-of-the-tests"
STEP = timedelta(seconds=STEP_SECONDS)


@pytest.fixture
def service(make_service: MakeService, sqlite_url: str) -> Service:
    return make_service(sqlite_url, secret_key=KEY)


def enroll(service: Service, name: str = "ann") -> Enrolment:
    enrolment = service.operators.prepare(name)
    service.operators.enroll(enrolment, code=None, actor="ops")
    return enrolment


def code_of(enrolment: Enrolment, clock: FakeClock, *, steps: int = 0) -> str:
    return pyotp.TOTP(enrolment.secret).at(clock.now() + steps * STEP)


def accepts(service: Service, code: str, name: str = "ann") -> bool:
    kept = service.operators.find(name)
    assert kept is not None
    return service.operators.accept(kept, code)


def test_an_operator_is_enrolled_listed_and_removed(service: Service, clock: FakeClock) -> None:
    """Each step is audited, and nothing of the secret gets into the trail or the store."""
    enrolment = service.operators.prepare("ann")
    assert service.operators.list() == ()

    service.operators.enroll(enrolment, code=code_of(enrolment, clock), actor="ops", source="cli")

    ann = Operator(name="ann", enrolled_at=clock.now(), enrolled_by="ops")
    assert service.operators.list() == (ann,)
    stored = service.store.items.newest("operators")[0].body.decode()
    assert service.operators.remove("ann", actor="eve") == ann
    assert service.operators.list() == ()
    trail = [(record.action, record.actor, record.source, record.detail) for record in service.store.audit()]
    assert trail == [
        ("operator.enrolled", "ops", "cli", "ann, confirmed by a code"),
        ("operator.removed", "eve", "api", "ann"),
    ]
    assert all(enrolment.secret not in text for text in (repr(enrolment), stored, repr(service.operators.list())))


def test_a_secret_is_told_as_an_authenticator_reads_it(make_service: MakeService) -> None:
    """Two services of one company are told apart on the operator's telephone."""
    enrolment = make_service(secret_key=KEY, service_name="shop").operators.prepare("ann@example.com")

    read = pyotp.parse_uri(enrolment.uri)

    assert isinstance(read, pyotp.TOTP)
    assert (read.secret, read.name, read.issuer) == (enrolment.secret, "ann@example.com", "Quiesce shop")


@pytest.mark.parametrize("code", ["00000", "", "x", "\u0661" * 6, "1" * 5000])
def test_a_wrong_code_enrols_nobody(service: Service, code: str) -> None:
    """Or the operator would find out in the emergency that the authenticator has another secret."""
    with pytest.raises(InvalidValueError, match="authenticator"):
        service.operators.enroll(service.operators.prepare("ann"), code=code, actor="ops")

    assert service.operators.list() == ()
    assert service.store.audit() == ()


def test_nobody_is_enrolled_over_another(service: Service) -> None:
    """A second secret for a name would be another person's way in."""
    waiting = service.operators.prepare("ann")
    enroll(service)

    with pytest.raises(ConflictError, match="remove them first"):
        service.operators.prepare("ann")
    with pytest.raises(ConflictError, match="remove them first"):
        service.operators.enroll(waiting, code=None, actor="ops")
    with pytest.raises(NoSuchOperatorError, match="'bob'"):
        service.operators.remove("bob", actor="ops")


@pytest.mark.parametrize("name", ["", " ", "x" * 201, "a\nb"])
def test_a_name_that_no_audit_trail_can_hold_is_refused(service: Service, name: str) -> None:
    """It stands in the trail and on terminals."""
    with pytest.raises(InvalidValueError) as caught:
        service.operators.prepare(name)

    assert caught.value.field == "name"


@pytest.mark.parametrize(("steps", "is_right"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_clock_may_be_one_step_off(service: Service, clock: FakeClock, *, steps: int, is_right: bool) -> None:
    """RFC 6238 §5.2: telephones are not exact, and every further step is a further code to guess."""
    enrolment = enroll(service)

    assert accepts(service, code_of(enrolment, clock, steps=steps)) is is_right


def test_each_code_is_accepted_once(service: Service, make_service: MakeService, sqlite_url: str, clock: Any) -> None:
    """Whoever reads it over a shoulder, or in a log of a proxy, has nothing; in another process neither."""
    enrolment = enroll(service)
    other = make_service(sqlite_url, secret_key=KEY)
    code = code_of(enrolment, clock)

    assert accepts(service, f"{code[:3]} {code[3:]}")

    assert not accepts(service, code)
    assert not accepts(other, code)
    assert not accepts(other, code_of(enrolment, clock, steps=-1))
    assert accepts(other, code_of(enrolment, clock, steps=1))


def test_the_code_that_confirmed_is_used_up(service: Service, clock: FakeClock) -> None:
    """It was read aloud, or stands in a terminal."""
    enrolment = service.operators.prepare("ann")
    service.operators.enroll(enrolment, code=code_of(enrolment, clock), actor="ops")

    assert not accepts(service, code_of(enrolment, clock))


def test_of_many_at_once_one_gets_a_code_accepted(make_service: MakeService, sqlite_url: str, clock: FakeClock) -> None:
    """Compare-and-set, or two processes would each accept it."""
    services = [make_service(sqlite_url, secret_key=KEY) for _ in range(4)]
    code = code_of(enroll(services[0]), clock)
    barrier = threading.Barrier(8)
    accepted: list[bool] = []

    def try_it(service: Service) -> None:
        kept = service.operators.find("ann")
        assert kept is not None
        barrier.wait(20)
        accepted.append(service.operators.accept(kept, code))

    threads = [threading.Thread(target=try_it, args=(services[number % 4],)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(accepted) == [False] * 7 + [True]


def test_a_key_is_changed_under_the_operators(make_service: MakeService, sqlite_url: str, clock: FakeClock) -> None:
    """With the former key behind it; who has given a code since then needs the former one no more."""
    newer = "a-newer-key-of-the-tests"
    enrolment = enroll(make_service(sqlite_url, secret_key=KEY))

    assert accepts(make_service(sqlite_url, secret_key=f"{newer},{KEY}"), code_of(enrolment, clock))

    assert accepts(make_service(sqlite_url, secret_key=newer), code_of(enrolment, clock, steps=1))
    with pytest.raises(SettingsError, match="MAINTENANCE_SECRET_KEY"):
        make_service(sqlite_url, secret_key=KEY).operators.find("ann")


def test_a_secret_that_was_moved_to_another_operator_opens_nothing(service: Service) -> None:
    """Who can write to the store must not get in as somebody else by their own authenticator."""
    enroll(service, "ann")
    enroll(service, "bob")
    items = service.store.items
    bodies = {item.key: item.body for item in items.newest("operators")}
    (ann, of_ann), (bob, of_bob) = sorted(bodies.items(), key=lambda each: b'"bob"' in each[1])
    secret = of_ann.partition(b'"secret":"')[2].partition(b'"')[0]
    items.put("operators", {bob: of_bob.replace(of_bob.partition(b'"secret":"')[2].partition(b'"')[0], secret)})

    assert service.operators.find("ann") is not None
    with pytest.raises(SettingsError, match="operator:bob"):
        service.operators.find("bob")
    items.put("operators", {ann: b"{}"})
    with pytest.raises(StoreCorruptError):
        service.operators.find("ann")


def test_without_extra_or_key_one_can_still_list_and_remove(
    make_service: MakeService, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taking a lost telephone off the list must not wait for an installation."""
    enroll(make_service(sqlite_url, secret_key=KEY))
    bare = make_service(sqlite_url)
    monkeypatch.setitem(sys.modules, "pyotp", None)
    monkeypatch.setitem(sys.modules, "cryptography", None)

    with pytest.raises(MissingExtraError):
        bare.operators.find("ann")
    with pytest.raises((MissingExtraError, SettingsError)):
        bare.operators.prepare("bob")
    assert [operator.name for operator in bare.operators.list()] == ["ann"]
    assert bare.operators.remove("ann", actor="ops").name == "ann"
