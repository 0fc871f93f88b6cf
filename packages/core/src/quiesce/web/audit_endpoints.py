"""The endpoints on the audit trail: its records, page by page, and what verifying it says."""

from __future__ import annotations

from collections.abc import Iterator

from ..control import EnhancedMaintenanceModeService
from .audit_documents import audit_record_document, audit_report_document
from .exchange import ApiResponse, json_response
from .queries import read_number
from .routing import PREFIX, Call, Endpoint, Route


class AuditEndpoints:
    """The audit trail of one service."""

    def __init__(self, service: EnhancedMaintenanceModeService) -> None:
        self._service = service

    def endpoints(self) -> Iterator[Endpoint]:
        """Yield each endpoint with its route."""
        path = f"{PREFIX}/audit"
        yield Route("GET", path, "audit", "The audit trail, the oldest records first", needs_admin=True), self._page
        yield (
            Route("GET", f"{path}/verify", "verify_audit", "Whether the audit trail is whole", needs_admin=True),
            self._verify,
        )

    def _page(self, call: Call) -> ApiResponse:
        limit = read_number(call, "limit", default=100, least=1, most=1000, what="a number of records")
        audit = self._service.audit
        if "after" in call.request.query:
            after = read_number(call, "after", default=0, least=0, most=99_999_999, what="the number of a record")
            records = audit.page(after=after, limit=limit)
        else:
            records = audit.tail(limit=limit)
        return json_response({"records": [audit_record_document(each) for each in records]})

    def _verify(self, call: Call) -> ApiResponse:
        return json_response(audit_report_document(self._service.audit.verify(head=call.request.query.get("head", ""))))
