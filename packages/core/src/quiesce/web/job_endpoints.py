"""The endpoints on jobs: what runs, ending it, putting it back."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from ..control import EnhancedMaintenanceModeService
from ..model import InvalidValueError
from .bodies import NUMBER, read_body
from .exchange import ApiResponse, json_response
from .job_documents import jobs_document, restore_document, stop_document
from .routing import PREFIX, Call, Endpoint, Route

_MOST_ENTRIES = 1000


class JobEndpoints:
    """Looks after the jobs of one service."""

    def __init__(self, service: EnhancedMaintenanceModeService) -> None:
        self._service = service

    def endpoints(self) -> Iterator[Endpoint]:
        """Yield each endpoint with its route."""
        endpoints = (
            ("GET", "jobs", "jobs", "The jobs that run, and those that were ended", self._list),
            ("POST", "jobs/stop", "stop_jobs", "End the jobs of all queues", self._stop),
            ("POST", "jobs/restore", "restore_jobs", "Put back the jobs that were ended", self._restore),
        )
        for method, path, name, summary, answer in endpoints:
            yield Route(method, f"{PREFIX}/{path}", name, summary, needs_admin=True), answer

    def _list(self, call: Call) -> ApiResponse:
        jobs = self._service.jobs
        entries = jobs.ledger(window_id=call.request.query.get("window"))
        return json_response(jobs_document(jobs.counts(), jobs.queues(), itertools.islice(entries, _MOST_ENTRIES)))

    def _stop(self, call: Call) -> ApiResponse:
        asked = read_body(call.request, fields={"window_id": str, "grace": NUMBER})
        return json_response(stop_document(self._service.jobs.stop_all(**asked, actor=call.actor, source=call.source)))

    def _restore(self, call: Call) -> ApiResponse:
        asked = read_body(call.request, fields={"window_id": str})
        if "window_id" not in asked:
            raise InvalidValueError("window_id", "must be given")
        return json_response(
            restore_document(self._service.jobs.restore(**asked, actor=call.actor, source=call.source))
        )
