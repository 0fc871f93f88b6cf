"""Objects of the application as plugins: checked like installed ones, and never too late in silence."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from quiesce import (
    ConflictError,
    EnhancedMaintenanceModeService,
    OperationType,
    PluginError,
    SessionInvalidation,
    hookimpl,
)
from quiesce.plugins import PluginManager
from quiesce.testing import FakeClock, eventually


class Deleting:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[int] = []

    @hookimpl
    def on_session_invalidate(self, invalidation: SessionInvalidation) -> None:
        self.told.append(invalidation.generation)


class Classifying:
    """Has a type of its own."""

    @hookimpl
    def operation_types(self) -> Iterable[OperationType]:
        return [OperationType("payments", "Taking money")]


class Faulty:
    """Misspells a hook."""

    @hookimpl
    def on_session_invalidated(self, invalidation: SessionInvalidation) -> None:
        """Never called."""


def test_an_object_of_the_application_is_called_like_any_plugin(
    service: EnhancedMaintenanceModeService, clock: FakeClock
) -> None:
    """What only the application has, such as its session store, cannot come from an entry point."""
    plugin = Deleting()
    service.add_plugin(plugin, name="shop")
    service.start()
    service.sessions.invalidate(actor="ann")

    clock.advance(1)

    eventually(lambda: plugin.told == [1])


def test_a_faulty_one_is_refused_with_what_is_wrong(service: EnhancedMaintenanceModeService) -> None:
    """A hook that is never called must be seen when the application starts."""
    service.add_plugin(Deleting(), name="shop")

    with pytest.raises(PluginError, match="did you mean 'on_session_invalidate'"):
        service.add_plugin(Faulty(), name="faulty")
    with pytest.raises(PluginError, match="of this name"):
        service.add_plugin(Deleting(), name="shop")


def test_one_that_classifies_must_come_before_anything_is_classified(
    service: EnhancedMaintenanceModeService,
) -> None:
    """The classifier has asked by then which types there are; one that only acts is still in time."""
    service.add_plugin(Classifying(), name="early")
    assert "payments" in service.classifier.operations

    with pytest.raises(ConflictError, match="too late"):
        service.add_plugin(Classifying(), name="late")
    service.add_plugin(Deleting(), name="acts")


def test_it_can_be_disabled_by_its_name(make_service: Callable[..., EnhancedMaintenanceModeService]) -> None:
    """An operator turns off what misbehaves without a change of code."""
    service = make_service(plugins=PluginManager(disabled=["early"]))

    service.add_plugin(Classifying(), name="early")

    assert "payments" not in service.classifier.operations
