"""The 503: what a refused client gets, in JSON and as a page."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce.model import Decision, MaintenanceWindow, Mode, OperationType, Outcome
from quiesce.testing import eventually
from quiesce.testing.clock import NOON
from quiesce.web import ApiResponse, Refusals

HOSTILE = [
    "<script>alert(1)</script>",
    "</p></main><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    '"><svg/onload=alert(1)>',
    "&lt;script&gt; &amp; &#x3c;",
    "{message} {0} {facts!r} %s",
    "a\r\nSet-Cookie: x=1\r\n\r\n<html>",
    "\x00\x1b[31m\u2028\u202e",
    "\ud800 lone",
    "x" * 1_000_000,
]


def a_decision(reason: str = "upgrade", *, minutes: float | None = None, revision: int = 1, **changes: Any) -> Decision:
    window = MaintenanceWindow(
        id="w",
        mode=Mode.NORMAL,
        reason=reason,
        owner="anna",
        starts_at=NOON,
        estimated_duration=None if minutes is None else timedelta(minutes=minutes),
    )
    return Decision(Outcome.REFUSED, OperationType.JOB_CREATION, "rule", replace(window, **changes), revision)


def render(decision: Decision, *, accept: str = "*/*", seconds: float = 0) -> ApiResponse:
    return Refusals().render(decision, accept=accept, now=NOON + timedelta(seconds=seconds))


class Page(HTMLParser):
    """The tags, attributes and text that a browser sees."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def test_problem_document() -> None:
    """RFC 9457, with what a client needs to act on it."""
    response = render(a_decision(minutes=30))

    headers = dict(response.headers)
    assert response.status == 503
    assert headers["content-type"] == "application/problem+json"
    assert json.loads(response.body) == {
        "type": "about:blank",
        "title": "Service under maintenance",
        "status": 503,
        "detail": "New jobs cannot be started during maintenance.",
        "mode": "normal",
        "reason": "upgrade",
        "operation_type": "job_creation",
        "started_at": "2031-05-04T12:00:00Z",
        "estimated_completion": "2031-05-04T12:30:00Z",
    }
    assert headers["cache-control"] == "no-store"
    assert headers["x-maintenance-mode"] == "normal"
    assert headers["vary"] == "Accept"
    assert b"anna" not in response.body


def test_browser_gets_a_page() -> None:
    """People read it; it loads nothing from anywhere."""
    response = render(a_decision(minutes=30), accept="text/html,application/xhtml+xml,*/*;q=0.8")

    headers = dict(response.headers)
    page = Page(response.body.decode())
    assert response.status == 503
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "New jobs cannot be started during maintenance." in page.text
    assert "Reason: upgrade" in page.text
    assert "2031-05-04T12:30:00Z" in page.text
    assert "anna" not in page.text
    assert not {"script", "img", "link", "iframe"} & set(page.tags)


@pytest.mark.parametrize("reason", HOSTILE, ids=lambda reason: repr(reason)[:30])
def test_reason_is_text_on_the_page(reason: str) -> None:
    """Even one that came past the checks, from a store that another wrote to, runs nowhere."""
    plain = Page(render(a_decision("upgrade"), accept="text/html").body.decode())

    page = Page(render(a_decision(reason), accept="text/html").body.decode())

    assert page.tags == plain.tags
    assert page.attributes == plain.attributes
    shown = reason.encode("utf-8", "replace").decode()
    assert shown.replace("\r\n", "\n") in page.text.replace("\r\n", "\n")


@pytest.mark.parametrize("reason", HOSTILE, ids=lambda reason: repr(reason)[:30])
@pytest.mark.parametrize("accept", ["*/*", "text/html"])
def test_no_value_reaches_the_headers(reason: str, accept: str) -> None:
    """No response is split, whatever the reason, the message or the type."""
    operation = OperationType("payments", message=reason)
    decision = replace(a_decision(reason, minutes=5), operation=operation)

    response = render(decision, accept=accept)

    for name, value in response.headers:
        assert name == name.lower()
        assert f"{name}{value}".isascii()
        assert f"{name}{value}".isprintable()
    assert dict(response.headers)["content-length"] == str(len(response.body))


def test_message_of_the_type_is_text_on_the_page() -> None:
    """It comes from a plugin or a TOML file."""
    operation = OperationType("payments", message="<b>stop</b>")

    page = Page(render(replace(a_decision(), operation=operation), accept="text/html").body.decode())

    assert "<b>stop</b>" in page.text
    assert "b" not in page.tags


def test_type_without_a_message_and_refusal_without_a_window() -> None:
    """A stale process that refuses writes still answers in full."""
    decision = Decision(Outcome.REFUSED, OperationType("payments"), "rule", None, 3)

    for accept in ("*/*", "text/html"):
        response = render(decision, accept=accept)

        assert dict(response.headers)["x-maintenance-mode"] == "stale"
        assert int(dict(response.headers)["retry-after"]) >= 1
        assert b"This operation is paused during maintenance." in response.body


@given(
    st.none() | st.floats(0, 366 * 24 * 60),
    st.floats(-(10**6), 10**9),
)
def test_retry_after_is_whole_seconds_and_at_least_one(minutes: float | None, seconds: float) -> None:
    """RFC 9110 §10.2.3; never a moment past, never a day away."""
    value = dict(render(a_decision(minutes=minutes), seconds=seconds).headers)["retry-after"]

    assert value.isascii()
    assert value.isdigit()
    assert 1 <= int(value) <= 24 * 3600


def test_retry_after_follows_the_estimate_with_a_little_spread() -> None:
    """Clients return when the work should be done, and not all at once."""
    refusals = Refusals()
    decision = a_decision(minutes=30)

    values = {
        int(dict(refusals.render(decision, accept="", now=NOON + timedelta(minutes=10)).headers)["retry-after"])
        for _ in range(200)
    }

    assert min(values) >= 20 * 60
    assert max(values) <= 20 * 66 + 1
    assert len(values) > 20


def test_after_the_estimate_clients_come_back_in_a_minute() -> None:
    """Overrun: nobody knows when, and a second would be a stampede."""
    for seconds in (30 * 60, 30 * 60 + 1, 10**6):
        value = int(dict(render(a_decision(minutes=30), seconds=seconds).headers)["retry-after"])

        assert 60 <= value <= 67


def test_bodies_are_rendered_once_for_each_revision_and_media_type() -> None:
    """A flood of refused requests costs no rendering."""
    refusals = Refusals()

    first = refusals.render(a_decision(), accept="*/*", now=NOON)
    again = refusals.render(a_decision(), accept="*/*", now=NOON)
    page = refusals.render(a_decision(), accept="text/html", now=NOON)
    other = refusals.render(replace(a_decision(), operation=OperationType.BATCH_OPERATIONS), accept="*/*", now=NOON)

    assert first.body is again.body
    assert len({first.body, page.body, other.body}) == 3


def test_change_of_the_window_is_shown_at_once() -> None:
    """After ``extend`` nobody is told the old time."""
    refusals = Refusals()
    refusals.render(a_decision(minutes=30), accept="*/*", now=NOON)

    after = refusals.render(a_decision(minutes=60, revision=2), accept="*/*", now=NOON)

    assert b"2031-05-04T13:00:00Z" in after.body


def test_thread_that_renders_for_the_revision_before_leaves_nothing_behind() -> None:
    """Threads of one process may see a change in either order."""
    refusals = Refusals()
    newer = a_decision(minutes=60, revision=2)

    class Interrupting(str):
        """Asked for its media type, lets another thread's refusal come between."""

        __slots__ = ()

        def __contains__(self, item: object) -> bool:
            refusals.render(replace(newer, operation=OperationType.BATCH_OPERATIONS), accept="", now=NOON)
            return False

    refusals.render(a_decision(minutes=30, revision=1), accept=Interrupting(), now=NOON)

    assert b"2031-05-04T13:00:00Z" in refusals.render(newer, accept="", now=NOON).body


def test_kept_bodies_are_bounded() -> None:
    """Types may be many, memory is not."""
    refusals = Refusals()

    for number in range(3000):
        refusals.render(replace(a_decision(), operation=OperationType(f"t{number}")), accept="", now=NOON)

    assert len(refusals._bodies) <= 512


def test_a_refusal_is_ready_again_for_the_next_client_and_never_for_another_decision() -> None:
    """A flood is answered without rendering; an answer about another window must not slip in."""
    refusals = Refusals()
    first, other = a_decision(minutes=30), a_decision(minutes=60, revision=2)

    answers = [refusals.problem(first).body for _ in range(3)]

    assert len(set(answers)) == 1
    assert refusals.problem(other).body != answers[0]
    assert refusals.page(first).body != answers[0]
    assert dict(refusals.problem(first).headers)["retry-after"].isdigit()
    assert dict(refusals.page(first).headers)["content-type"] == "text/html; charset=utf-8"


def test_the_time_to_come_back_is_not_that_of_a_client_long_ago() -> None:
    """What is ready is kept for a moment only: late in a window, it would send clients away for all of its length."""
    refusals = Refusals()
    decision = a_decision(minutes=30)

    problem, page = refusals.problem(decision), refusals.page(decision)
    eventually(lambda: refusals.problem(decision) is not problem)
    eventually(lambda: refusals.page(decision) is not page)

    assert refusals.problem(decision).body == problem.body


def test_a_decision_is_not_taken_for_one_that_is_gone() -> None:
    """They are told apart by identity, which an object made later may have again."""
    refusals = Refusals()

    for number in range(1000):
        assert f'"reason": "{number}"'.encode() in refusals.problem(a_decision(str(number), revision=number)).body


def test_what_is_ready_is_bounded() -> None:
    """A scan of many paths makes a decision for each."""
    refusals = Refusals()

    for number in range(3000):
        refusals.problem(a_decision(revision=number))
        refusals.page(a_decision(revision=number))

    assert max(len(refusals._problems), len(refusals._pages)) <= 512
