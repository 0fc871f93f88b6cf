"""What an operator may ask for, and what is refused with the field's name."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce.control.validation import (
    LONGEST_DURATION,
    LONGEST_REASON,
    check_actor,
    check_duration,
    check_mode,
    check_operations,
    check_reason,
)
from quiesce.model import BUILTIN_OPERATIONS, InvalidValueError, Mode, OperationType

KNOWN = {operation.name: operation for operation in BUILTIN_OPERATIONS}


@pytest.mark.parametrize(
    "reason",
    [
        "Database optimization",
        "x" * LONGEST_REASON,
        "Wartung: Ölwechsel ☂ 🚧",
        "👩\u200d🔧 at work",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\u200f\u05e9\u05dc\u05d5\u05dd",
        "日本語\u3000の",
        "<script>alert(1)</script> {0} %s \\n '\";--",
    ],
)
def test_reasons_of_every_language_are_kept_as_they_are(reason: str) -> None:
    """Joiners and direction marks belong to languages and emoji; escaping is the printer's business."""
    assert check_reason(reason) == reason


@pytest.mark.parametrize(
    "reason",
    [
        "",
        "   ",
        "\n",
        "\u200b",
        " \u200b\ufeff\u2060 ",
        "\u200e",
        "a\nb",
        "a\rb",
        "a\tb",
        "a\x00b",
        "a\x1b[31mb",
        "a\x7fb",
        "a\x85b",
        "a\u2028b",
        "a\u2029b",
        "a\ud800b",
        "a\u202eb",
        "a\u202ab",
        "a\u2066b",
        "a\u2069b",
        "x" * (LONGEST_REASON + 1),
        "x" * 1_000_000,
        None,
        5,
        True,
        b"bytes",
        ["list"],
        {"a": 1},
    ],
    ids=lambda reason: repr(reason)[:30],
)
def test_reason_that_deceives_or_breaks_is_refused(reason: object) -> None:
    """Nothing that forges a line, hides, or shows in another order than it reads; nothing too long."""
    with pytest.raises(InvalidValueError) as caught:
        check_reason(reason)

    assert caught.value.field == "reason"
    assert len(str(caught.value)) < 200
    assert str(caught.value).isprintable()


def test_surrounding_blanks_are_no_part_of_a_reason() -> None:
    """A shell's or form's trailing newline is no fault."""
    assert check_reason("  moving house\r\n") == "moving house"


@given(st.text(st.characters(), max_size=50))
def test_what_passes_is_one_line_that_shows_something(text: str) -> None:
    """Logs, headers and terminals rely on it."""
    try:
        checked = check_reason(text)
    except InvalidValueError:
        return

    assert checked
    assert len(checked.splitlines()) == 1
    assert checked == checked.strip()
    checked.encode("utf-8")


@pytest.mark.parametrize("actor", ["", " ", "a" * 201, "a\nb", None, 7], ids=repr)
def test_actor_is_checked_as_well(actor: object) -> None:
    """The audit trail must not be forged by a user's own name."""
    with pytest.raises(InvalidValueError) as caught:
        check_actor(actor)

    assert caught.value.field == "actor"


@pytest.mark.parametrize("mode", ["normal", "emergency", "test", *Mode])
def test_mode_is_found_by_its_name(mode: str) -> None:
    """The guide's three."""
    assert check_mode(mode) is Mode(mode)


@pytest.mark.parametrize(
    "mode", ["NORMAL", "", "nightly", "x" * 100_000, None, 0, True, [], {}, ["normal"]], ids=lambda m: repr(m)[:20]
)
def test_unknown_mode_is_refused(mode: object) -> None:
    """A mistyped emergency must not become something weaker."""
    with pytest.raises(InvalidValueError, match="normal, emergency, test") as caught:
        check_mode(mode)

    assert caught.value.field == "mode"
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("given_", "span"),
    [
        (90, timedelta(seconds=90)),
        (0.5, timedelta(seconds=0.5)),
        (timedelta(minutes=3), timedelta(minutes=3)),
        (366 * 86400, LONGEST_DURATION),
        (None, None),
    ],
)
def test_duration_is_seconds_or_a_span(given_: float | timedelta | None, span: timedelta | None) -> None:
    """The guide counts in seconds."""
    assert check_duration("duration", given_) == span


@pytest.mark.parametrize(
    "duration",
    [
        0,
        0.0,
        -0.0,
        -1,
        1e-9,
        math.nan,
        math.inf,
        -math.inf,
        1e308,
        366 * 86400 + 1,
        10**400,
        -(10**400),
        10**5000,
        timedelta(0),
        timedelta(-1),
        timedelta.max,
        timedelta.min,
        True,
        False,
        "90",
        "90s",
        b"90",
        [90],
        {},
        1j,
    ],
    ids=lambda d: "huge" if isinstance(d, int) and abs(d) > 10**9 else repr(d),
)
def test_absurd_duration_is_refused(duration: object) -> None:
    """An int too large for a float is an answer to a client like any other, not a crash."""
    with pytest.raises(InvalidValueError) as caught:
        check_duration("timeout", duration)

    assert caught.value.field == "timeout"
    assert len(str(caught.value)) < 200


def test_operations_are_names_or_types() -> None:
    """The API sends names, code sends types, and people write capitals."""
    given_ = ["JOB_CREATION", "batch_operations", OperationType.IMAGE_PROCESSING]

    assert check_operations(given_, KNOWN) == frozenset({"job_creation", "batch_operations", "image_processing"})
    assert check_operations(None, KNOWN) is None


@pytest.mark.parametrize(
    "operations",
    [
        "job_creation",
        5,
        [],
        ["payments"],
        ["job_creation", "payments"],
        [None],
        [5],
        [["job_creation"]],
        [{}],
        b"job_creation",
        ["x" * 100_000],
        [OperationType("payments")],
    ],
    ids=lambda operations: repr(operations)[:30],
)
def test_unknown_operation_type_is_refused(operations: object) -> None:
    """A window that covers a mistyped type would protect nothing."""
    with pytest.raises(InvalidValueError) as caught:
        check_operations(operations, KNOWN)

    assert caught.value.field == "operations"
    assert len(str(caught.value)) < 500
