"""A classification rule: which paths, by which methods, are which type of operation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from .errors import InvalidValueError

RuleKind = Literal["prefix", "glob", "regex"]

_KINDS: tuple[str, ...] = get_args(RuleKind)
_OPERATION = re.compile(r"[a-z][a-z0-9_]{0,63}")
_METHOD = re.compile(r"[A-Z][A-Z0-9!#$%&'*+.^_`|~-]{0,31}")
_MAX_PATTERN = 1024


@dataclass(frozen=True, slots=True)
class Rule:
    """Gives a type of operation to the paths that it matches, whatever their letter case.

    Attributes:
        pattern: what is matched from the start of the path.
        operation: name of the type.
        kind: ``prefix``: whole segments from the start (``/batch`` is ``/batch`` and ``/batch/x``, never
            ``/batchelor``); ``glob``: the whole path, ``*`` crosses slashes and ``/*`` at the end
            also stands for nothing; ``regex``: from the start, the end is open unless the pattern closes it.
        methods: in capitals; ``GET`` stands for ``HEAD`` too; ``None``: every method.
    """

    pattern: str
    operation: str
    kind: RuleKind = "regex"
    methods: frozenset[str] | None = None

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise InvalidValueError("kind", f"{self.kind!r:.80} is none of {', '.join(_KINDS)}")
        operation: object = self.operation
        if not isinstance(operation, str) or not _OPERATION.fullmatch(operation):
            raise InvalidValueError(
                "operation", f"{self.operation!r:.80} is not a lower-case identifier of at most 64 characters"
            )
        self._check_pattern()
        if self.methods is not None:
            object.__setattr__(self, "methods", _checked_methods(self.methods))

    def _check_pattern(self) -> None:
        pattern: object = self.pattern
        if not isinstance(pattern, str) or not 0 < len(pattern) <= _MAX_PATTERN:
            raise InvalidValueError("pattern", f"{pattern!r:.80} is not a text of 1 to {_MAX_PATTERN} characters")
        if self.kind != "regex":
            if not pattern.startswith("/") and not (self.kind == "glob" and pattern.startswith("*")):
                raise InvalidValueError("pattern", f"{pattern!r:.80} does not begin with '/', as every path does")
            if "//" in pattern or "/./" in pattern + "/" or "/../" in pattern + "/":
                raise InvalidValueError("pattern", f"{pattern!r:.80} can match no path: paths are normalised")
            if self.kind == "prefix" and ("*" in pattern or "?" in pattern):
                raise InvalidValueError("pattern", f"{pattern!r:.80} is a prefix but holds wildcards; use kind 'glob'")
            return
        if pattern[0].isalnum():
            raise InvalidValueError("pattern", f"{pattern!r:.80} can match no path: paths begin with '/'")
        try:
            re.compile(pattern, re.IGNORECASE | re.DOTALL)
        except (re.error, OverflowError, RecursionError) as exc:
            raise InvalidValueError("pattern", f"{pattern!r:.80} is no regular expression: {exc}") from exc


def _checked_methods(methods: object) -> frozenset[str]:
    if isinstance(methods, str) or not isinstance(methods, (frozenset, set, list, tuple)):
        raise InvalidValueError("methods", f"{methods!r:.80} is not a set of HTTP methods")
    if not methods:
        raise InvalidValueError("methods", "is empty, so that the rule matches nothing; leave it out for every method")
    upper = {method.upper() if isinstance(method, str) else method for method in methods}
    for method in upper:
        if not isinstance(method, str) or not _METHOD.fullmatch(method):
            raise InvalidValueError("methods", f"{method!r:.80} is no HTTP method")
    return frozenset(upper)
