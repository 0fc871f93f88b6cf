"""The error tree.

QuiesceError
├── InvalidValueError           what was asked for is not valid, and nothing changed
├── SettingsError               one or more settings are wrong
├── PluginError                 an installed plugin cannot be used
├── MissingExtraError           what was asked for needs a package that is not installed
├── ConflictError               somebody else changed the state first, or it already is as asked
│   ├── RevisionConflictError   a commit expected another revision
│   ├── WindowOpenError         a window of the same mode is open already
│   ├── IdTakenError            a window or schedule of this id is there already
│   ├── NoOpenWindowError       there is nothing to end or extend
│   ├── NoSuchWindowError       there is no window or schedule of this id
│   ├── NoSuchPassError         no bypass pass of this name or id is good for anything
│   ├── NoSuchOperatorError     no operator of this name is enrolled
│   ├── NotRecoveredError       a line of the checklist at the end of an emergency is not ok
│   └── AmbiguousWindowError    several windows are open and none was named
├── OperationRefusedError       maintenance refuses this operation
├── NotQuiescedError            the system was not quiet in time
├── DeliveryError               a notifier did not deliver a notice
├── StoreError                  the store does not do what it was asked
│   ├── StoreUnreachableError   it cannot be reached in time
│   ├── StoreCorruptError       what it holds cannot be read
│   ├── StoreURLError           its address names no store that can work
│   └── UnknownWorkerError      it has no record of this worker
└── BoardError                  the machine's shared snapshot cannot be used
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .decisions import Decision
    from .emergency import RecoveryCheck
    from .workers import QuiescenceReport


class QuiesceError(Exception):
    """Base of every error that Quiesce raises on purpose."""


class InvalidValueError(QuiesceError, ValueError):
    """Raised when a value given by an operator, a client or a plugin is not valid; nothing was changed."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class SettingsError(QuiesceError):
    """Raised when settings are wrong; lists every fault, not only the first."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


class PluginError(QuiesceError):
    """Raised when an installed plugin cannot be used; names its distribution."""

    def __init__(self, plugin: str, distribution: str, problem: str) -> None:
        super().__init__(f"plugin {plugin!r} of distribution {distribution!r}: {problem}")
        self.plugin = plugin
        self.distribution = distribution
        self.problem = problem


class MissingExtraError(QuiesceError):
    """Raised when something needs a package that is not installed; says which extra brings it."""

    def __init__(self, what: str, *, extra: str, package: str) -> None:
        super().__init__(f"{what} needs the package {package}: pip install 'quiesce[{extra}]'")
        self.extra = extra
        self.package = package


class ConflictError(QuiesceError):
    """Raised when a command cannot be carried out on the state as it is now; nothing was changed."""


class RevisionConflictError(ConflictError):
    """Raised when a commit expected another revision than the store holds."""

    def __init__(self, expected: int, found: int) -> None:
        super().__init__(f"expected revision {expected}, the store is at {found}")
        self.expected = expected
        self.found = found


class WindowOpenError(ConflictError):
    """Raised when a window of the same mode is open already."""

    def __init__(self, message: str, window_id: str) -> None:
        super().__init__(message)
        self.window_id = window_id


class NoOpenWindowError(ConflictError):
    """Raised when there is no open window to end or extend."""


class NoSuchWindowError(ConflictError):
    """Raised when there is no window or schedule of the id that was named."""

    def __init__(self, window_id: str) -> None:
        super().__init__(f"there is no window or schedule {window_id!r:.80}")
        self.window_id = window_id


class NoSuchPassError(ConflictError):
    """Raised when no bypass pass of the name or id that was named is good for anything still."""

    def __init__(self, name_or_id: str) -> None:
        super().__init__(f"there is no live pass {name_or_id!r:.80}")
        self.name_or_id = name_or_id


class NoSuchOperatorError(ConflictError):
    """Raised when no operator of the name that was given is enrolled."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no operator {name!r:.80} is enrolled")
        self.name = name


class NotRecoveredError(ConflictError):
    """Raised when an emergency is not ended because a line of its checklist is not ok; carries every line."""

    def __init__(self, window_id: str, checks: Sequence[RecoveryCheck]) -> None:
        open_lines = "; ".join(f"{check.name}: {check.detail}" for check in checks if not check.is_ok)
        super().__init__(f"emergency {window_id} goes on: {open_lines}")
        self.window_id = window_id
        self.checks = tuple(checks)


class IdTakenError(ConflictError):
    """Raised when a window or schedule of the id that was asked for is there already."""

    def __init__(self, window_id: str) -> None:
        super().__init__(f"there is a window or schedule {window_id!r:.80} already")
        self.window_id = window_id


class AmbiguousWindowError(ConflictError):
    """Raised when several windows are open and the command names none."""

    def __init__(self, window_ids: Sequence[str]) -> None:
        super().__init__(f"several windows are open, name one or all: {', '.join(window_ids)}")
        self.window_ids = tuple(window_ids)


class OperationRefusedError(QuiesceError):
    """Raised by ``service.guard`` when maintenance refuses the operation; both adapters answer it with the 503."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(f"operation {decision.operation.name!r} is refused during maintenance")
        self.decision = decision


class NotQuiescedError(QuiesceError):
    """Raised when the system was not quiet in time; carries the last report."""

    def __init__(self, report: QuiescenceReport) -> None:
        super().__init__(f"not quiesced at revision {report.revision}: {'; '.join(report.obstacles)}")
        self.report = report


class DeliveryError(QuiesceError):
    """Raised by a notifier when a notice was not delivered; says whether, and when, to try again.

    Args:
        problem: what went wrong, fit for logs: no secret, no address that holds one.
        retry_after_seconds: not before; ``None``: as it is usual.
        is_permanent: the receiver will never take this notice; the next one may be another matter.
        disables: the receiver wants none any more; nothing is sent until an operator says so.
        is_unconfigured: this process was not told where to send; a worker goes on to the next one, a command leaves it.
    """

    def __init__(
        self,
        problem: str,
        *,
        retry_after_seconds: float | None = None,
        is_permanent: bool = False,
        disables: bool = False,
        is_unconfigured: bool = False,
    ) -> None:
        super().__init__(problem)
        self.retry_after_seconds = retry_after_seconds
        self.is_permanent = is_permanent
        self.disables = disables
        self.is_unconfigured = is_unconfigured


class StoreError(QuiesceError):
    """Raised when the store does not do what it was asked."""


class StoreUnreachableError(StoreError):
    """Raised when the store cannot be reached, or does not answer in time."""


class StoreCorruptError(StoreError):
    """Raised when what the store holds cannot be read as a state."""


class StoreURLError(StoreError, ValueError):
    """Raised when a store's address names no store that can work: scheme, folder, file system."""


class UnknownWorkerError(StoreError):
    """Raised when the store has no record of the worker that reports; it must register anew."""


class BoardError(QuiesceError):
    """Raised when the machine's shared snapshot cannot be created, read or trusted."""
