"""Many rules made ready: finds the first that matches without trying each."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..model import Rule

_FLAGS = re.IGNORECASE | re.DOTALL
_PLAIN = re.compile(r"(?:[A-Za-z0-9/_~-]|\\[./_-])*")
_UNESCAPE = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class _Entry:
    rank: int
    rule: Rule
    methods: frozenset[str] | None
    literal: str
    expression: re.Pattern[str] | None

    def matches(self, method: str, path: str, folded: str, *, slashed: bool) -> bool:
        if self.methods is not None and method not in self.methods:
            return False
        if self.expression is None:
            size = len(self.literal)
            return folded.startswith(self.literal) and folded[size : size + 1] in ("", "/")
        if self.expression.match(path):
            return True
        return slashed and self.rule.kind == "regex" and self.expression.match(path + "/") is not None


class Rulebook:
    """An ordered set of rules; the first that matches decides.

    Rules are found by the literal text that they begin with, so that a thousand of them cost little more than ten. Only
    an ASCII path can be looked up so: case folding outside of it is wider than a dictionary can follow.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._entries = tuple(_ready(rank, rule) for rank, rule in enumerate(rules))
        buckets: dict[str, list[_Entry]] = {}
        for entry in self._entries:
            buckets.setdefault(entry.literal, []).append(entry)
        self._buckets = buckets
        self._lengths = sorted({len(literal) for literal in buckets})

    def match(self, method: str, path: str, *, slashed: bool = False) -> Rule | None:
        """Return the first rule that matches, or ``None``.

        Args:
            method: in capitals.
            path: normalised.
            slashed: whether the path lost a slash at its end when it was normalised; a regex may ask for it.
        """
        folded = path.casefold()
        sought = folded + "/" if slashed else folded
        for entry in self._candidates(sought) if path.isascii() else self._entries:
            if entry.matches(method, path, folded, slashed=slashed):
                return entry.rule
        return None

    def _candidates(self, folded: str) -> Iterable[_Entry]:
        size = len(folded)
        found: list[_Entry] = []
        for length in self._lengths:
            if length > size:
                break
            bucket = self._buckets.get(folded[:length])
            if bucket is not None:
                found += bucket
        found.sort(key=_rank)
        return found


def _rank(entry: _Entry) -> int:
    return entry.rank


def _ready(rank: int, rule: Rule) -> _Entry:
    methods = rule.methods
    if methods is not None and "GET" in methods:
        methods |= {"HEAD"}
    if rule.kind == "prefix":
        return _Entry(rank, rule, methods, rule.pattern.rstrip("/").casefold(), None)
    if rule.kind == "glob":
        literal, expression = _from_glob(rule.pattern)
    else:
        literal, expression = _literal_start(rule.pattern), re.compile(rule.pattern, _FLAGS)
    return _Entry(rank, rule, methods, literal.lower(), expression)


def _from_glob(pattern: str) -> tuple[str, re.Pattern[str]]:
    pattern = pattern.rstrip("/") or "/"
    plain = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
    literal = re.split(r"[^\x00-\x7f]", plain, maxsplit=1)[0].rstrip("/")
    expression = fnmatch.translate(pattern)
    if pattern.endswith("/*"):
        expression += "|" + fnmatch.translate(pattern[:-2])
    return literal, re.compile(expression, _FLAGS)


def _literal_start(pattern: str) -> str:
    """Return text that whatever the regular expression matches must begin with; empty when that is not plain to see."""
    if "(?#" in pattern or _has_choice(pattern):
        return ""
    run = _PLAIN.match(pattern)
    plain = run[0] if run else ""
    literal = _UNESCAPE.sub(r"\1", plain)
    return literal[:-1] if pattern[len(plain) : len(plain) + 1] in ("?", "*", "+", "{") else literal


def _has_choice(pattern: str) -> bool:
    """Whether an alternative stands outside all groups, or the pattern is too odd to tell."""
    depth = 0
    for token in re.finditer(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[()|]", pattern, re.DOTALL):
        if token[0] == "(":
            depth += 1
        elif token[0] == ")":
            depth -= 1
        elif token[0] == "|" and depth <= 0:
            return True
    return depth != 0
