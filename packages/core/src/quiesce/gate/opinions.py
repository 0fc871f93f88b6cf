"""Asks plugins and resolvers for a type, and lets none of them do harm."""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Callable
from time import perf_counter

from ..model import InvalidValueError, OperationType
from .catalogue import OperationCatalogue

_log = logging.getLogger("quiesce")

_SLOW_SECONDS = 0.1


class Opinions:
    """Calls foreign code; no usable answer counts as no opinion and is logged once for each source and fault."""

    __slots__ = ("_lock", "_told")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: set[tuple[str, str]] = set()

    def ask(
        self, source: str, function: Callable[..., object], arguments: tuple[object, ...], catalogue: OperationCatalogue
    ) -> OperationType | None:
        """Return the type that the source answers, as the catalogue defines it, or ``None``.

        Args:
            source: who is asked, in words, for the log.
            function: answers a type, the name of one, or ``None``.
            arguments: what it is called with.
            catalogue: the types that count as an answer.
        """
        started = perf_counter()
        try:
            return self._checked(source, function(*arguments), catalogue)
        except Exception as exc:  # noqa: BLE001 -- a plugin is called here
            self._tell(source, f"raised {type(exc).__name__}", "this counts as no opinion", exc)
            return None
        finally:
            seconds = perf_counter() - started
            if seconds > _SLOW_SECONDS:
                self._tell(source, "is slow to classify", f"it took {seconds:.1f} s for one request")

    def _checked(self, source: str, answer: object, catalogue: OperationCatalogue) -> OperationType | None:
        if answer is None:
            return None
        if isinstance(answer, (str, OperationType)):
            try:
                return catalogue.find(answer)
            except InvalidValueError as exc:
                fault, consequence = "answers a type that is not declared", f"this counts as no opinion; {exc.problem}"
        else:
            fault = f"answers a {type(answer).__name__}, which is no operation type"
            consequence = "this counts as no opinion"
            if inspect.iscoroutine(answer):
                answer.close()
        self._tell(source, fault, consequence)
        return None

    def _tell(self, source: str, fault: str, detail: str, exc: Exception | None = None) -> None:
        with self._lock:
            if (source, fault) in self._told:
                return
            self._told.add((source, fault))
        _log.error("[MAINTENANCE] %s %s: %s", source, fault, detail, exc_info=exc)
