"""Rules: what may stand in one, and which requests it matches."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
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
