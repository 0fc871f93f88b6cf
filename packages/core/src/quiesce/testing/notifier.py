"""The contract suite for plugins that notify."""
# ruff: noqa: S101 - a contract is made of assertions

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from ..model import Audience, EventKind, MaintenanceEvent, MaintenanceWindow, Mode, Notice
from ..plugins import HookResult, PluginManager
from ..settings import Settings
from .clock import NOON
from .waiting import eventually

_PATIENCE_SECONDS = 20.0
_HOSTILE = "Zahl's & <b>\u00fcber\u00a0all</b>\r\nBcc: x@example.org\r\n\r\n{0} %s \u2028 \U0001f6a7 " + "x" * 900


class NotifierContract(ABC):
    """What every plugin that implements ``notify`` must do; subclass it as ``Test…``, with a real receiver.

    Each test begins with a receiver that works and has been sent nothing, and a plugin that is set up to send to it,
    by the environment if it follows the settings; make it so in a fixture that is used automatically.

    Attributes:
        plugin: the module, or the object, that carries the hook.
        dead_within_seconds: how long it may take to find out that nobody is there.
    """

    plugin: object
    dead_within_seconds: float = 30.0

    @abstractmethod
    def delivered(self) -> Sequence[str]:
        """Return all that the receiver got, in order, each as text with what identifies it (headers, fields)."""

    @abstractmethod
    def break_receiver(self) -> None:
        """From now on nobody is there who takes anything."""

    def test_start_and_end_are_told_to_everyone_and_to_operators(self) -> None:
        """The two events that nobody may miss, whomever they are for."""
        for audience in Audience:
            for kind in (EventKind.STARTED, EventKind.ENDED):
                before = len(self.delivered())
                self._deliver(self._notice(kind, audience=audience))
                eventually(lambda before=before: len(self.delivered()) > before, within=_PATIENCE_SECONDS)  # type: ignore[misc]  # bound now

    def test_every_kind_is_taken(self) -> None:
        """Also those that it tells nobody of, and those about no window or a forgotten one."""
        for number, kind in enumerate(EventKind):
            self._deliver(self._notice(kind, number=number))
            self._deliver(replace(self._notice(kind, number=100 + number), window=None))

    def test_notice_carries_its_id(self) -> None:
        """By which a receiver can drop a repeat."""
        notice = self._notice(EventKind.STARTED)
        self._deliver(notice)

        assert any(notice.id in text for text in self._await(1))

    def test_repeat_has_the_same_id_whatever_the_attempt(self) -> None:
        """After who sent it died, it is sent again."""
        notice = self._notice(EventKind.STARTED)
        self._deliver(notice)
        first = len(self._await(1))
        self._deliver(replace(notice, attempt=7))

        assert all(notice.id in text for text in self._await(first + 1))

    def test_reason_is_told(self) -> None:
        """People want to know why."""
        self._deliver(self._notice(EventKind.STARTED, reason="Database-upgrade"))

        assert any("Database-upgrade" in text for text in self._await(1))

    def test_test_is_marked(self) -> None:
        """Nobody is to be frightened by a drill."""
        self._deliver(self._notice(EventKind.STARTED, audience=Audience.OPERATORS, is_test=True))

        assert all("test" in text.lower() for text in self._await(1))

    def test_hostile_reason_is_delivered(self) -> None:
        """Markup, line ends and any script are text, wherever it lands."""
        self._deliver(self._notice(EventKind.STARTED, reason=_HOSTILE))

        self._await(1)

    def test_dead_receiver_is_an_error_in_bounded_time(self) -> None:
        """What is not raised counts as delivered, and what hangs holds up all that comes later."""
        self.break_receiver()

        result = self._notify(self._notice(EventKind.STARTED))

        assert not result.ok, "it said that it delivered, but nobody was there"
        assert isinstance(result.exception, Exception), result.error
        assert result.seconds <= self.dead_within_seconds

    def _notice(
        self,
        kind: EventKind,
        *,
        number: int = 0,
        reason: str = "Contract",
        audience: Audience = Audience.EVERYONE,
        is_test: bool = False,
    ) -> Notice:
        mode = Mode.TEST if is_test else Mode.NORMAL
        window = MaintenanceWindow(
            id="contract",
            mode=mode,
            reason=reason,
            owner="ann",
            starts_at=NOON,
            estimated_duration=timedelta(minutes=45),
            ends_at=NOON + timedelta(hours=2),
        )
        event = MaintenanceEvent(
            kind=kind,
            at=NOON,
            revision=7,
            number=number,
            window_id=window.id,
            mode=str(mode),
            reason=reason,
            actor="ann",
            detail="detail",
        )
        return Notice(event=event, service_name="shop", window=window, audience=audience, is_test=is_test)

    def _notify(self, notice: Notice) -> HookResult:
        manager = PluginManager()
        manager.register(self.plugin, "contract")
        assert manager.implements("notify"), "the plugin implements no hook 'notify'"
        seconds = 2 * self.dead_within_seconds
        return manager.notify(notice, settings=Settings.load(), timeout_seconds=seconds, only="contract")

    def _deliver(self, notice: Notice) -> None:
        result = self._notify(notice)
        assert result.ok, result.error

    def _await(self, count: int) -> Sequence[str]:
        eventually(lambda: len(self.delivered()) >= count, within=_PATIENCE_SECONDS)
        return self.delivered()
