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
_LIKE_ASCII = {0x130: "i", 0x131: "i", 0x17F: "s", 0x212A: "k"}
"""What else the letters of ASCII match when letter case is ignored; ``re`` goes by one character at a time."""
_AS_RE_READS = str.maketrans(_LIKE_ASCII | {upper: chr(upper).lower() for upper in range(ord("A"), ord("Z") + 1)})


@dataclass(frozen=True, slots=True)
class _Entry:
    rank: int
    rule: Rule
    methods: frozenset[str] | None
    literal: str
    expression: re.Pattern[str] | None

    def matches(self, method: str, path: str, folded: str, *, slashed: bool) -> bool:
        """Whether the rule matches; of the case-folded path its first characters will do, one more than the literal."""
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

    Rules are found by the literal text that they begin with, so that a thousand of them cost little more than ten.
    A prefix is compared after case folding, which makes one character or more of each, whatever stands beside it: the
    fold of a path's beginning is the beginning of its fold. A regular expression begins with a literal of ASCII only,
    each character of which takes one of the path.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        buckets: dict[str, list[_Entry]] = {}
        for entry in (_ready(rank, rule) for rank, rule in enumerate(rules)):
            buckets.setdefault(entry.literal, []).append(entry)
        self._buckets = buckets
        self._lengths = sorted({len(literal) for literal in buckets})
        self._head = max(self._lengths, default=0) + 1

    def match(self, method: str, path: str, *, slashed: bool = False) -> Rule | None:
        """Return the first rule that matches, or ``None``.

        Args:
            method: in capitals.
            path: normalised.
            slashed: whether the path lost a slash at its end when it was normalised; a regex may ask for it.
        """
        head = path[: self._head]
        folded = head.casefold()
        end = "/" if slashed else ""
        found = self._beginning(folded + end)
        if not head.isascii():
            found = [entry for entry in found if entry.expression is None]
            read = self._beginning(head.translate(_AS_RE_READS) + end)
            found += [entry for entry in read if entry.expression is not None]
        found.sort(key=_rank)
        for entry in found:
            if entry.matches(method, path, folded, slashed=slashed):
                return entry.rule
        return None

    def _beginning(self, text: str) -> list[_Entry]:
        """Return the rules with whose literal the text begins."""
        size = len(text)
        found: list[_Entry] = []
        for length in self._lengths:
            if length > size:
                break
            bucket = self._buckets.get(text[:length])
            if bucket is not None:
                found += bucket
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
