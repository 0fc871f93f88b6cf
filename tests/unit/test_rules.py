"""Rules: what may stand in one, and which requests it matches."""

from __future__ import annotations

import fnmatch
import re
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quiesce.gate.rulebook import Rulebook
from quiesce.model import InvalidValueError, Rule, RuleKind


def matches(rule: Rule, path: str, method: str = "POST", *, slashed: bool = False) -> bool:
    return Rulebook([rule]).match(method, path, slashed=slashed) is rule


@pytest.mark.parametrize(
    ("kind", "pattern", "path", "expected"),
    [
        ("prefix", "/batch", "/batch", True),
        ("prefix", "/batch", "/batch/7", True),
        ("prefix", "/batch", "/BATCH/7", True),
        ("prefix", "/batch", "/batchelor", False),
        ("prefix", "/batch", "/x/batch", False),
        ("prefix", "/batch/", "/batch", True),
        ("prefix", "/", "/anything", True),
        ("prefix", "/straße", "/STRASSE/1", True),
        ("glob", "/batch/*", "/batch", True),
        ("glob", "/batch/*", "/batch/a/b", True),
        ("glob", "/batch/*", "/batchelor", False),
        ("glob", "/a/*/run", "/a/b/c/RUN", True),
        ("glob", "/a/*/run", "/a/b/run/x", False),
        ("glob", "/a/*/run", "/x/a/b/run", False),
        ("glob", "/a/?", "/a/b", True),
        ("glob", "/a/?", "/a/bc", False),
        ("glob", "/v[12]/x", "/v2/x", True),
        ("glob", "/*", "/", True),
        ("glob", "*.pdf", "/a/b.PDF", True),
        ("glob", "/a/*.pdf", "/a/b\n.pdf", True),
        ("regex", "/api/custom/.*", "/API/custom/x", True),
        ("regex", "/api/custom/.*", "/x/api/custom/x", False),
        ("regex", "/api/custom", "/api/customs", True),
        ("regex", "/a/.*/end$", "/a/b\nc/end", True),
        ("regex", "/a|/b", "/b/1", True),
        ("regex", "/ab?c", "/ac", True),
        ("regex", "/a(b|c)d", "/aCd", True),
        ("regex", r"/a\.b", "/a.b", True),
        ("regex", r"/a\.b", "/axb", False),
        ("regex", "/k", "/\u212a", True),
        ("regex", "/s", "/\u017f", True),
        ("regex", "/i", "/İ", True),
        ("regex", "/i", "/\u0131", True),
    ],
)
def test_rule_matches(kind: RuleKind, pattern: str, path: str, *, expected: bool) -> None:
    """An operator must be able to predict what a rule covers."""
    assert matches(Rule(pattern, "payments", kind), path) is expected


def test_regex_may_ask_for_a_slash_at_the_end() -> None:
    """The guide's ``/api/custom/.*`` is meant for ``/api/custom/`` too, whose slash is gone when rules are asked."""
    rule = Rule("/api/custom/.*", "payments")

    assert matches(rule, "/api/custom", slashed=True)
    assert not matches(rule, "/api/custom")


@pytest.mark.parametrize(
    ("methods", "method", "expected"),
    [
        ({"POST"}, "POST", True),
        ({"post"}, "POST", True),
        ({"POST"}, "GET", False),
        ({"GET"}, "HEAD", True),
        ({"HEAD"}, "GET", False),
        ({"WEBSOCKET"}, "WEBSOCKET", True),
    ],
)
def test_methods_narrow_a_rule(methods: set[str], method: str, *, expected: bool) -> None:
    """HEAD runs what GET runs, so a rule about GET that let it pass would be a hole."""
    assert matches(Rule("/x", "payments", "prefix", frozenset(methods)), "/x", method) is expected


def test_first_rule_decides() -> None:
    """The order is the operator's, whatever kind the rules are of and however they are looked up."""
    exact, wide, late = Rule("/a/b/c", "a", "prefix"), Rule("/a.*", "b"), Rule("/a/b/*", "c", "glob")

    assert Rulebook([exact, wide, late]).match("GET", "/a/b/c") is exact
    assert Rulebook([late, wide, exact]).match("GET", "/a/b/c") is late
    assert Rulebook([wide, exact, late]).match("GET", "/a/b/c") is wide


ATOMS = st.sampled_from(
    ["a", "b", "i", "K", "/", ".", ".*", "?", "*", "+", "{2}", "|", "(", ")", "[a|b]", "[(]", r"\.", r"\|", "\u017f"]
)


@given(
    patterns=st.lists(st.lists(ATOMS, min_size=1, max_size=6).map("".join), max_size=6),
    rest=st.text(alphabet="abikK\u0131/.|(\u017f\u212a", max_size=6),
    slashed=st.booleans(),
)
def test_looking_rules_up_finds_what_trying_them_all_finds(patterns: list[str], rest: str, *, slashed: bool) -> None:
    """The index only saves time; a rule that it overlooks would open what the operator closed."""
    rules = []
    for pattern in patterns:
        try:
            re.compile("/" + pattern)
            rules.append(Rule("/" + pattern, "x"))
        except (re.error, InvalidValueError):
            continue
    readings = ["/" + rest, "/" + rest + "/"] if slashed else ["/" + rest]

    tried = [
        rule
        for rule in rules
        if any(re.match(rule.pattern, reading, re.IGNORECASE | re.DOTALL) for reading in readings)
    ]

    assert Rulebook(rules).match("GET", "/" + rest, slashed=slashed) is (tried[0] if tried else None)


# Letters that fold to several, or to ASCII, or that re takes for ASCII; some that do neither; bytes that are no UTF-8.
STRANGE = "ßẞŉǰΐﬁﬅﬀİıſ\u212a\u212bÅåÜüΣς\u03c3ᾳ\u0345\u0307é漢\U0001f9d1\udcff"
LETTERS = "/abfijknsSIK._-~ 0" + STRANGE
PATTERNS = st.lists(
    st.sampled_from([*LETTERS, "ss", "fi", "st", "/a", "*", "?", "[sk]", "[!a]"]), min_size=1, max_size=7
).map(lambda atoms: re.sub("/+", "/", "/" + "".join(atoms)))


def covers(rule: Rule, path: str, *, slashed: bool) -> bool:
    """What ``Rule`` promises, tried the slow way on the whole path."""
    pattern = rule.pattern
    if rule.kind == "prefix":
        folded, stem = path.casefold(), pattern.rstrip("/").casefold()
        return folded == stem or folded.startswith(stem + "/")
    if rule.kind == "glob":
        pattern = pattern.rstrip("/") or "/"
        globs = [pattern, *([pattern[:-2]] if pattern.endswith("/*") else [])]
        return any(re.match(fnmatch.translate(glob), path, re.IGNORECASE | re.DOTALL) for glob in globs)
    readings = [path, path + "/"] if slashed else [path]
    return any(re.match(pattern, reading, re.IGNORECASE | re.DOTALL) for reading in readings)


def dotted(text: str) -> str:
    return text.translate(str.maketrans("iIkKsS", "İİ\u212a\u212a\u017f\u017f"))


def dotless(text: str) -> str:
    return text.translate(str.maketrans("iIss", "\u0131\u0131\u1e9eß"))


def made(kind: RuleKind, pattern: str) -> Rule | None:
    try:
        return Rule(pattern, "x", kind)
    except InvalidValueError:
        return None


RULES = st.builds(made, st.sampled_from(["prefix", "glob", "regex"]), PATTERNS).filter(lambda rule: rule is not None)


@settings(max_examples=500)
@given(
    rules=st.lists(RULES, max_size=8),
    beginning=st.integers(0, 7),
    disguise=st.sampled_from([str, str.swapcase, str.upper, str.casefold, dotted, dotless]),
    rest=st.text(LETTERS, max_size=8) | st.text(max_size=4),
    slashed=st.booleans(),
)
def test_rules_of_every_kind_are_found_for_every_script(
    rules: list[Rule], beginning: int, disguise: Callable[[str], str], rest: str, *, slashed: bool
) -> None:
    """Case folding outside of ASCII is where an index and the rules that it stands for could part."""
    start = rules[beginning].pattern if beginning < len(rules) else "/"
    path = disguise(start) + rest

    expected = next((rule for rule in rules if covers(rule, path, slashed=slashed)), None)

    assert Rulebook(rules).match("GET", path, slashed=slashed) is expected


def test_the_characters_that_are_taken_for_ascii_are_all_known() -> None:
    """A Unicode version that adds one would open what a rule closes, to whoever writes a path with it."""
    everything = "".join(map(chr, range(0x80, sys.maxunicode + 1)))
    letters = "abcdefghijklmnopqrstuvwxyz"
    taken = {(letter, found) for letter in letters for found in re.findall(letter, everything, re.IGNORECASE)}

    unfound = {(a, b) for a, b in taken if not matches(Rule(f"/{a}", "x"), f"/{b}")}

    assert taken
    assert unfound == set()


def test_case_folding_goes_by_one_character_at_a_time() -> None:
    """So the fold of a path's beginning is the beginning of its fold, and is never shorter than that."""
    shorter = [code for code in range(sys.maxunicode + 1) if not chr(code).casefold()]
    dependent = [
        code
        for code in range(sys.maxunicode + 1)
        for around in ("aΣ", "i\u0307")
        if (around + chr(code) + around).casefold() != around.casefold() + chr(code).casefold() + around.casefold()
    ]

    assert (shorter, dependent) == ([], [])


def test_a_long_literal_is_compared_whole() -> None:
    """Only the beginning of a path is folded; what a rule says must lie within it."""
    rules = [Rule("/" + "ß" * 40, "x", "prefix"), Rule("/" + "k" * 90, "x"), Rule("/x", "x", "prefix")]

    for path, expected in (
        ("/" + "s" * 80, rules[0]),
        ("/" + "ß" * 40 + "/é", rules[0]),
        ("/" + "ß" * 41, None),
        ("/" + "ß" * 39 + "é", None),
        ("/" + "\u212a" * 90 + "é", rules[1]),
        ("/" + "\u212a" * 89, None),
        ("/xé", None),
        ("/x/é", rules[2]),
    ):
        assert Rulebook(rules).match("GET", path) is expected


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"pattern": ""}, "pattern"),
        ({"pattern": 3}, "pattern"),
        ({"pattern": "/" + "x" * 2000}, "pattern"),
        ({"pattern": "api/jobs"}, "pattern"),
        ({"pattern": "/("}, "pattern"),
        ({"pattern": "jobs", "kind": "prefix"}, "pattern"),
        ({"pattern": "/jobs/*", "kind": "prefix"}, "pattern"),
        ({"pattern": "/a//b", "kind": "prefix"}, "pattern"),
        ({"pattern": "/a/../b", "kind": "glob"}, "pattern"),
        ({"kind": "exact"}, "kind"),
        ({"kind": ["glob"]}, "kind"),
        ({"operation": "Payments"}, "operation"),
        ({"operation": None}, "operation"),
        ({"methods": frozenset()}, "methods"),
        ({"methods": "GET"}, "methods"),
        ({"methods": ["GET", 3]}, "methods"),
        ({"methods": ["GE T"]}, "methods"),
    ],
)
def test_faulty_rule_is_refused(fields: dict[str, Any], field: str) -> None:
    """A rule that can never match looks like protection and is none."""
    with pytest.raises(InvalidValueError) as caught:
        Rule(**({"pattern": "/x", "operation": "payments"} | fields))

    assert caught.value.field == field
