"""service.guard: the same decision for what only the code knows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from quiesce import (
    EnhancedMaintenanceModeService,
    Guard,
    InvalidValueError,
    OperationRefusedError,
    OperationType,
    Principal,
    Settings,
    current_caller,
)

PAYMENTS = OperationType("payments", "Paying", "Payments are paused.")


@pytest.fixture
def service() -> Iterator[EnhancedMaintenanceModeService]:
    service = EnhancedMaintenanceModeService(Settings(store_url="memory://", operations=(PAYMENTS,)))
    yield service
    service.close()


class Caller:
    """A caller as an adapter makes it."""

    def __init__(self, answer: Principal | Exception | None) -> None:
        self._answer = answer

    def identify(self) -> Principal | None:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    async def identify_async(self) -> Principal | None:
        await asyncio.sleep(0)
        return self.identify()

    def pass_fields(self) -> tuple[str, str]:
        return "", ""


def enable(service: EnhancedMaintenanceModeService) -> None:
    service.enable(reason="work", actor="ann")


def test_a_guarded_function_runs_while_nothing_is_open(service: EnhancedMaintenanceModeService) -> None:
    """A guard costs a developer nothing outside of maintenance."""

    @service.guard("payments")
    def pay(amount: int) -> int:
        return amount

    assert pay(5) == 5
    assert not service.gate.in_flight


def test_it_is_refused_during_maintenance_and_says_why(service: EnhancedMaintenanceModeService) -> None:
    """Both adapters make the 503 of what it carries."""
    guard = service.guard(PAYMENTS)
    enable(service)

    with pytest.raises(OperationRefusedError) as refused, guard:
        pytest.fail("must not run")

    assert refused.value.decision.operation == PAYMENTS
    assert not service.gate.in_flight


def test_what_runs_inside_counts_as_in_flight_until_it_ends(service: EnhancedMaintenanceModeService) -> None:
    """A cron job that holds a guard is part of the proof."""
    with service.guard("payments"):
        enable(service)
        assert service.gate.acknowledge().in_flight == {"payments": 1}

    assert service.gate.acknowledge().in_flight == {}


def test_an_error_inside_ends_the_entry_and_comes_through(service: EnhancedMaintenanceModeService) -> None:
    """An entry that stays would make the system never quiet again."""
    with pytest.raises(ZeroDivisionError), service.guard("payments"):
        raise ZeroDivisionError

    assert not service.gate.in_flight


@pytest.mark.parametrize(
    ("answer", "passes"),
    [
        (Principal("root", is_admin=True), True),
        (Principal("bob"), False),
        (None, False),
        (RuntimeError("the database is down"), False),
    ],
)
def test_only_an_admin_passes_a_guard_during_maintenance(
    service: EnhancedMaintenanceModeService, *, answer: Principal | Exception | None, passes: bool
) -> None:
    """No admin is refused, and whoever cannot be named is none."""
    enable(service)
    former = current_caller.set(Caller(answer))
    try:
        if passes:
            with service.guard("payments"):
                assert service.gate.acknowledge().bypassing == 1
        else:
            with pytest.raises(OperationRefusedError), service.guard("payments"):
                pytest.fail("must not run")
    finally:
        current_caller.reset(former)

    assert not service.gate.in_flight


def test_coroutines_are_guarded_while_they_run(service: EnhancedMaintenanceModeService) -> None:
    """Not only while they are made."""

    @service.guard("payments")
    async def pay() -> dict[str, int]:
        await asyncio.sleep(0)
        enable(service)
        return dict(service.gate.acknowledge().in_flight)

    async def as_admin() -> int:
        current_caller.set(Caller(Principal("root", is_admin=True)))
        async with service.guard("payments"):
            return service.gate.acknowledge().bypassing

    assert asyncio.run(pay()) == {"payments": 1}
    with pytest.raises(OperationRefusedError):
        asyncio.run(pay())
    assert asyncio.run(as_admin()) == 1
    assert not service.gate.in_flight


def test_one_guard_serves_many_at_once(service: EnhancedMaintenanceModeService) -> None:
    """Developers make one at import and use it everywhere."""
    guard = service.guard("payments")

    with guard, guard:
        assert len(service.gate.in_flight) == 2

    assert not service.gate.in_flight


def test_a_generator_cannot_be_decorated(service: EnhancedMaintenanceModeService) -> None:
    """It would run after its guard has left."""

    def rows() -> Iterator[int]:
        yield 1

    with pytest.raises(TypeError, match="inside it"):
        service.guard("payments")(rows)


def test_an_unknown_type_is_an_error_at_once(service: EnhancedMaintenanceModeService) -> None:
    """A misspelled type would guard nothing."""
    with pytest.raises(InvalidValueError, match="payments"):
        service.guard("paymets")


def test_guards_are_made_by_the_service(service: EnhancedMaintenanceModeService) -> None:
    """The class is public for annotations."""
    assert isinstance(service.guard("payments"), Guard)
