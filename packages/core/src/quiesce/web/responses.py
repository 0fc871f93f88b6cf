"""The refusal: 503 with a time to come back, as a problem document or a page; rendered once, sent as bytes."""

from __future__ import annotations

import html
import json
import random
from datetime import UTC, datetime
from time import monotonic
from typing import TypeAlias

from ..model import Decision, MaintenanceWindow
from .documents import format_time
from .exchange import ApiResponse, json_response
from .pages import content_policy, render_page

_DEFAULT_RETRY_SECONDS = 60
_LONGEST_RETRY_SECONDS = 24 * 3600
_MOST_BODIES = 512
_READY_SECONDS = 0.05
_PAGE_TYPE = "text/html"

_Ready: TypeAlias = tuple[float, ApiResponse, Decision]


class Refusals:
    """Renders refusals; the bodies of one revision are kept, those of older ones go."""

    def __init__(self) -> None:
        self._problems: dict[int, _Ready] = {}
        self._pages: dict[int, _Ready] = {}
        self._revision = -1
        self._bodies: dict[tuple[int, str, str, bool], tuple[tuple[tuple[str, str], ...], bytes]] = {}

    def problem(self, decision: Decision) -> ApiResponse:
        """Return the 503 for programs as it is rendered now, or was within the last twentieth of a second."""
        found = self._problems.get(id(decision))
        if found is not None and monotonic() < found[0]:
            return found[1]
        return self._renew(self._problems, decision, accept="")

    def page(self, decision: Decision) -> ApiResponse:
        """Return the same for browsers."""
        found = self._pages.get(id(decision))
        if found is not None and monotonic() < found[0]:
            return found[1]
        return self._renew(self._pages, decision, accept=_PAGE_TYPE)

    def _renew(self, kept: dict[int, _Ready], decision: Decision, *, accept: str) -> ApiResponse:
        # By identity, because hashing a decision is dear; it is kept too, so that no other can take its identity.
        if len(kept) >= _MOST_BODIES:
            kept.clear()
        answer = self.render(decision, accept=accept, now=datetime.now(UTC))
        kept[id(decision)] = (monotonic() + _READY_SECONDS, answer, decision)
        return answer

    def render(self, decision: Decision, *, accept: str, now: datetime) -> ApiResponse:
        """Return the 503 for a refused request (RFC 9110 §15.6.4, RFC 9457).

        Args:
            decision: why it is refused.
            accept: the request's ``Accept`` header; a browser gets a page, everything else a problem document.
            now: from which ``Retry-After`` counts.
        """
        if decision.revision != self._revision or len(self._bodies) >= _MOST_BODIES:
            self._bodies = {}
            self._revision = decision.revision
        wants_page = _PAGE_TYPE in accept
        window_id = "" if decision.window is None else decision.window.id
        # With the revision: a thread may still render for the one before.
        key = (decision.revision, window_id, decision.operation.name, wants_page)
        kept = self._bodies.get(key)
        if kept is None:
            kept = self._bodies[key] = _render(decision, wants_page=wants_page)
        headers, body = kept
        return ApiResponse(503, (*headers, ("retry-after", str(_retry_after(decision.window, now)))), body)


def token_refusal() -> ApiResponse:
    """Return the answer to a bearer token that is over, or does not count now (RFC 6750 section 3.1, RFC 9457)."""
    answer = json_response(
        {
            "type": "about:blank",
            "title": "Unauthorized",
            "status": 401,
            "detail": "This token was ended, or does not count during maintenance. Log in anew.",
        },
        status=401,
        media_type="application/problem+json",
    )
    challenge = ("www-authenticate", 'Bearer error="invalid_token"')
    length = ("content-length", str(len(answer.body)))
    return ApiResponse(answer.status, (*answer.headers, length, challenge), answer.body)


def _retry_after(window: MaintenanceWindow | None, now: datetime) -> int:
    """Return whole seconds until the estimate, spread by up to a tenth so that clients do not return together."""
    completion = window.estimated_completion if window is not None else None
    remaining = _DEFAULT_RETRY_SECONDS if completion is None else (completion - now).total_seconds()
    if remaining <= 0:  # overrun: nobody knows
        remaining = _DEFAULT_RETRY_SECONDS
    spread = 1 + random.random() / 10  # noqa: S311 - spreads load, keeps no secret
    return max(1, min(int(remaining * spread) + 1, _LONGEST_RETRY_SECONDS))


def _render(decision: Decision, *, wants_page: bool) -> tuple[tuple[tuple[str, str], ...], bytes]:
    window = decision.window
    mode = "stale" if window is None else str(window.mode)
    message = decision.operation.message or "This operation is paused during maintenance."
    headers: tuple[tuple[str, str], ...] = (
        ("cache-control", "no-store"),
        ("x-maintenance-mode", mode),
        ("vary", "Accept"),
        ("x-content-type-options", "nosniff"),
    )
    if wants_page:
        body = _page(window, message)
        return (
            ("content-type", "text/html; charset=utf-8"),
            ("content-length", str(len(body))),
            ("content-security-policy", content_policy()),
            *headers,
        ), body
    document = {
        "type": "about:blank",
        "title": "Service under maintenance",
        "status": 503,
        "detail": message,
        "mode": mode,
        "reason": "" if window is None else window.reason,
        "operation_type": decision.operation.name,
        "started_at": format_time(window.starts_at if window else None),
        "estimated_completion": format_time(window.estimated_completion if window else None),
    }
    body = json.dumps(document).encode("ascii")
    return (("content-type", "application/problem+json"), ("content-length", str(len(body))), *headers), body


def _page(window: MaintenanceWindow | None, message: str) -> bytes:
    facts = ""
    if window is not None:
        facts = f"<p>Reason: {html.escape(window.reason)}</p>"
        if window.estimated_completion is not None:
            at = format_time(window.estimated_completion)
            facts += f'<p>Expected back: <time datetime="{at}">{at}</time></p>'
    return render_page(title="We are under maintenance", content=f"<p>{html.escape(message)}</p>{facts}")
