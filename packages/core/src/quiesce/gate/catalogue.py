"""The operation types that this process knows, by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple
from types import MappingProxyType

from ..model import InvalidValueError, OperationType
from ..spelling import nearest


class OperationCatalogue:
    """An immutable set of operation types in which a name has one definition.

    Raises:
        InvalidValueError: one name is defined in two ways.
    """

    __slots__ = ("by_name",)

    by_name: Mapping[str, OperationType]

    def __init__(self, operations: Iterable[OperationType]) -> None:
        by_name: dict[str, OperationType] = {}
        for operation in operations:
            if astuple(by_name.setdefault(operation.name, operation)) != astuple(operation):
                raise InvalidValueError("operation", f"{operation.name!r} is defined in two ways")
        self.by_name = MappingProxyType(by_name)

    def with_operation(self, operation: OperationType) -> OperationCatalogue:
        """Return a catalogue that knows this type as well; raises ``InvalidValueError`` as the constructor does."""
        return OperationCatalogue((*self.by_name.values(), operation))

    def find(self, name_or_type: str | OperationType) -> OperationType:
        """Return the one definition of the named type.

        Raises:
            InvalidValueError: no such type is known; names the known ones.
        """
        name: object = name_or_type.name if isinstance(name_or_type, OperationType) else name_or_type
        found = self.by_name.get(name) if isinstance(name, str) else None
        if found is None:
            raise InvalidValueError("operation", self._unknown(str(name)))
        return found

    def _unknown(self, name: str) -> str:
        near = nearest(name.lower()[:80], self.by_name)
        hint = "" if near is None else f"; did you mean {near!r}?"
        return f"{name!r:.80} is no known type{hint} (known: {', '.join(self.by_name)})"
