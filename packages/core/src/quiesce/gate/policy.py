"""The decision on a request, in the order that the design gives; pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..model import Decision, MaintenanceWindow, OperationType, Outcome
from .paths import ID_SEGMENT, is_clean, template_of

if TYPE_CHECKING:
    from .classifier import MaintenanceOperationClassifier
    from .replica import Snapshot

GUARD = "SERVICE GUARD"
"""Method of an entry that ``service.guard`` makes, with a space that no HTTP method can hold; its path is the type."""

_NOT_WRITING = frozenset({OperationType.READ_OPERATIONS, OperationType.AUTHENTICATION, OperationType.ADMIN_OPERATIONS})


class Policy:
    """What is exempt, what is enforced, and what a stale process does."""

    def __init__(
        self,
        *,
        exempt_paths: Iterable[str] = (),
        is_enabled: bool = True,
        is_simulating: bool = True,
        refuses_writes_when_stale: bool = False,
    ) -> None:
        self._exact: frozenset[str] = frozenset()
        self._prefixes: tuple[str, ...] = ()
        self._templates: frozenset[str] = frozenset()
        self.is_enabled = is_enabled
        self._is_simulating = is_simulating
        self._refuses_writes_when_stale = refuses_writes_when_stale
        self.exempt(exempt_paths)

    def exempt(self, paths: Iterable[str]) -> None:
        """Let these paths pass always: exact ones, all below ``prefix/*``, and one id below ``prefix/{id}``.

        They are compared with the path as it was sent, so that no spelling of another path becomes exempt.
        """
        every = frozenset(paths)
        templates = {path for path in every if path.endswith(ID_SEGMENT)}
        given = every - templates
        self._templates |= templates
        self._exact |= {path.removesuffix("/*") for path in given}
        self._prefixes += tuple(path.removesuffix("*") for path in given if path.endswith("/*"))

    def is_shut(self, *, is_stale: bool) -> bool:
        """Whether requests must be judged although no window is open."""
        return is_stale and self._refuses_writes_when_stale and self.is_enabled

    def decide(
        self,
        snapshot: Snapshot,
        method: str,
        path: str,
        *,
        classifier: MaintenanceOperationClassifier,
        is_stale: bool = False,
    ) -> Decision:
        """Return the decision on a request whose sender is nobody in particular."""
        revision = snapshot.revision
        if method != GUARD and self._is_exempt(method, path):
            return Decision(Outcome.EXEMPT, OperationType.READ_OPERATIONS, "exempt path or method", None, revision)
        readings, rule = _read(method, path, classifier)
        operation = readings[0]
        if not self.is_enabled:
            return Decision(Outcome.PASSED, operation, f"{rule}; MAINTENANCE_MODE_ENABLED is false", None, revision)
        # A hostile spelling can be read as several types, and must not slip past a window that names only one of them.
        for reading in readings:
            blocking = snapshot.effective.blocking(reading)
            if blocking is not None:
                return Decision(Outcome.REFUSED, reading, rule, blocking, revision)
        if self.is_shut(is_stale=is_stale) and not _NOT_WRITING.issuperset(readings):
            rule = f"{rule}; the store is out of reach and MAINTENANCE_ON_STALE is refuse-writes"
            return Decision(Outcome.REFUSED, operation, rule, None, revision)
        if self._is_simulating:
            for reading in readings:
                testing = snapshot.effective.testing(reading)
                if testing is not None:
                    return Decision(Outcome.WOULD_BLOCK, reading, rule, testing, revision)
        return Decision(Outcome.PASSED, operation, rule, None, revision)

    def refusing(
        self, snapshot: Snapshot, method: str, path: str, *, classifier: MaintenanceOperationClassifier
    ) -> tuple[MaintenanceWindow, ...]:
        """Return every open window that refuses such a request, in whichever way its path is read."""
        readings, _ = _read(method, path, classifier)
        return tuple(w for w in snapshot.effective.enforced if any(map(w.covers, readings)))

    def _is_exempt(self, method: str, path: str) -> bool:
        if method == "OPTIONS" or path in self._exact or template_of(path) in self._templates:
            return True
        return path.startswith(self._prefixes) and is_clean(path)


def _read(method: str, path: str, classifier: MaintenanceOperationClassifier) -> tuple[tuple[OperationType, ...], str]:
    """Return the types that a request can be taken for, and where the first of them came from."""
    if method == GUARD:
        return (classifier.operation(path),), "guard"
    classification = classifier.classify(method, path)
    return (classification.operation, *classification.also), classification.rule
