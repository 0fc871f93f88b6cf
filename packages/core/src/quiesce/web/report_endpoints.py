"""The endpoints on reports: which there are, and one of them as JSON or as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from ..control import EnhancedMaintenanceModeService
from .exchange import ApiResponse, json_response
from .queries import read_number
from .report_documents import heading_document, report_document
from .report_markdown import render_report
from .routing import PREFIX, Call, Endpoint, Route

MARKDOWN = "text/markdown"


class ReportEndpoints:
    """Reports on the windows of one service."""

    def __init__(self, service: EnhancedMaintenanceModeService) -> None:
        self._service = service

    def endpoints(self) -> Iterator[Endpoint]:
        """Yield each endpoint with its route."""
        path = f"{PREFIX}/reports"
        yield Route("GET", path, "reports", "Which windows can be reported on", needs_admin=True), self._list
        yield Route("GET", f"{path}/{{id}}", "report", "The report on one window", needs_admin=True), self._show

    def _list(self, call: Call) -> ApiResponse:
        limit = read_number(call, "limit", default=100, least=1, most=1000, what="a number of reports")
        return json_response({"reports": [heading_document(each) for each in self._service.reports(limit=limit)]})

    def _show(self, call: Call) -> ApiResponse:
        report = self._service.report(call.id)
        if not _prefers_markdown(call.request.headers.get("accept", "")):
            return json_response(report_document(report))
        headers = (
            ("content-type", f"{MARKDOWN}; charset=utf-8"),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
        )
        return ApiResponse(200, headers, render_report(report).encode("utf-8", "replace"))


def _prefers_markdown(accept: str) -> bool:
    """Whether ``Accept`` names Markdown before JSON; whoever takes anything gets JSON."""
    named = [part.partition(";")[0].strip().lower() for part in accept.split(",", 20)]
    asked = [each for each in named if each in {MARKDOWN, "application/json"}]
    return asked[:1] == [MARKDOWN]
