"""A report as Markdown: what a strict reader makes of it, whatever is in the reasons and names."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from quiesce.model import (
    CallerKind,
    CheckKind,
    EmergencyProgress,
    EmergencyRecovery,
    EmergencyStep,
    IncidentReport,
    JobFate,
    JobRecord,
    Mode,
    Outcome,
    RecoveryCheck,
    ReportCount,
    ReportEntry,
    ReportHeading,
    StepStatus,
    WorkerInfo,
)
from quiesce.testing.clock import NOON
from quiesce.web.report_markdown import escape_markdown, render_report

HOSTILE = [
    *("| a | b |", "a | b", "\\| a", "\\", "`x`", "# x", "- x", "1. x", "> x", "* * *", "---", "===", "+ x"),
    *("x\n\n# Resolved\n\nAll is well", "x\r\n| forged | row |", "x\u2028# y", "x\x0b", "\x1b[2J", "a\tb", "    code"),
    *(
        "<script>alert(1)</script>",
        "<!-- ",
        "&lt;b&gt;",
        "&#35; x",
        "[x](http://evil.example)",
        "![x](y)",
        "<http://x.y>",
    ),
    *("http://evil.example www.evil.example a@evil.example", "**bold** __x__ ~~x~~", "[^1]: x", "```", "~~~", "$x$"),
    *("\u202e drow", "\ud800", "\u00a0", "", " ", "x" * 5000, "[x]: y", ":smile:", "~", "Wartung ☂ à 9'"),
]


def parse(text: str) -> list[Any]:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)


def shape(text: str) -> list[str]:
    """The structure of the document: every block and every inline mark, and nothing of the texts."""
    return [
        kind
        for token in parse(text)
        for kind in (token.type, *(each.type for each in token.children or () if each.type != "text_special"))
        if kind != "text"
    ]


def shown(text: str) -> str:
    """What a reader sees."""
    return "".join(
        each.content for token in parse(text) for each in token.children or () if each.type in {"text", "text_special"}
    )


def a_report(text: str) -> IncidentReport:
    """A report in which every text from outside is this one."""
    return IncidentReport(
        heading=ReportHeading(
            window_id="w1",
            mode=Mode.EMERGENCY,
            reason=text,
            owner=text,
            opened_at=NOON,
            ended_at=NOON + timedelta(minutes=3),
            is_open=False,
        ),
        made_at=NOON,
        duration=timedelta(minutes=3),
        ended_by=text or "x",
        people=(text, text),
        timeline=(ReportEntry(at=NOON, action=text, actor=text, source=text, detail=text),) * 2,
        omitted_entries=7,
        counts=(ReportCount(operation=text, outcome=Outcome.REFUSED, caller=CallerKind.USER, count=3),),
        paths=(
            ReportCount(operation=text, outcome=Outcome.WOULD_BLOCK, caller=CallerKind.UNMARKED, count=1, path=text),
        ),
        progress=EmergencyProgress(
            window_id="w1",
            steps=(EmergencyStep(name=text, status=StepStatus.FAILED, detail=text, problems=(text, text)),),
        ),
        recoveries=(
            EmergencyRecovery(
                window_id="w1",
                at=NOON,
                actor=text,
                was_ended=True,
                checks=(RecoveryCheck(name=text, kind=CheckKind.CHECKED, is_ok=False, detail=text),),
            ),
        ),
        jobs=(JobRecord(source=text, id=text, queue=text, name=text, fate=JobFate.LOST, user=text, detail=text),),
        job_fates={"lost": 1},
        notifications=(text,),
        failures=(text,),
        workers=(WorkerInfo(text, text, 1, "m", 1, text, NOON),),
        gaps=(text,),
    )


EXPECTED = shape(render_report(a_report("x")))


def test_it_has_its_sections_and_what_is_in_them() -> None:
    """The one who hands it in should have to add nothing."""
    text = render_report(a_report("Wartung ☂"))

    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == [
        "# Emergency window w1",
        *("## What is not known", "## What failed", "## Timeline", "## What was blocked, and for whom", "## Steps"),
        *("## Sessions", "## Jobs", "## Notifications", "## How the end was checked", "## Workers"),
    ]
    assert EXPECTED.count("table_open") == 8
    for fact in ("2031-05-04T12:03:00Z", "0:03:00", "7 lines are left out here", "identified | 3", "Number ended: not"):
        assert fact in text


def test_that_nothing_was_sent_is_said() -> None:
    """An empty section would leave open whether anybody looked."""
    bare = IncidentReport(
        heading=ReportHeading(
            window_id="w", mode=None, reason="", owner="", opened_at=None, ended_at=None, is_open=False
        ),
        made_at=NOON,
        duration=None,
    )

    text = render_report(bare)

    assert "## Notifications\n\nNone was sent.\n" in text
    assert "## What failed\n\nNothing that is known of.\n" in text
    assert "| Reason | not known |" in text
    assert "| Duration | not known |" in text


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_forges_structure(text: str) -> None:
    """An attacker who wrote a reason or a job's name must not write the report."""
    assert shape(render_report(a_report(text or "x"))) == EXPECTED


@given(st.text(st.characters(), min_size=1, max_size=40).filter(lambda text: text.strip() != ""))
def test_any_text_is_shown_as_it_is(text: str) -> None:
    """Escaped where it must be, and the reader sees what was typed; what does not print is spelled out."""
    escaped = escape_markdown(text)

    assert "\n" not in escaped
    assert shape(f"| {escaped} |\n|---|\n") == shape("| x |\n|---|\n")
    if text.isprintable():
        assert shown(f"a{escaped}b") == f"a{text.strip()}b"
