"""The endpoints on the sessions of the application's users: how many, whose, and ending them."""

from __future__ import annotations

from collections.abc import Iterator

from ..control import EnhancedMaintenanceModeService
from ..model import InvalidValueError
from .bodies import read_body
from .exchange import ApiResponse, json_response
from .queries import read_number
from .routing import PREFIX, Call, Endpoint, Route
from .session_documents import deletion_document, ending_document, session_document, stats_document

_LONGEST_SECONDS = 31_622_400


class SessionEndpoints:
    """Asks and commands the sessions of one service."""

    def __init__(self, service: EnhancedMaintenanceModeService) -> None:
        self._service = service

    def endpoints(self) -> Iterator[Endpoint]:
        """Yield each endpoint with its route."""
        path = f"{PREFIX}/sessions"
        yield Route("GET", path, "sessions", "Which sessions were active lately", needs_admin=True), self._list
        yield Route("POST", f"{path}/end", "end_sessions", "End sessions", needs_admin=True), self._end

    def _list(self, call: Call) -> ApiResponse:
        within = read_number(call, "within", default=900, least=1, most=_LONGEST_SECONDS, what="seconds")
        limit = read_number(call, "limit", default=100, least=1, most=1000, what="a number of sessions")
        skip = read_number(call, "skip", default=0, least=0, most=9_000, what="a number of sessions")
        manager = self._service.sessions
        listed = manager.list(limit=limit, skip=skip)
        stats = stats_document(manager.stats(within=within))
        deletions = [deletion_document(deletion) for deletion in manager.deletions()]
        return json_response(
            {"stats": stats, "sessions": [session_document(session) for session in listed], "deletions": deletions}
        )

    def _end(self, call: Call) -> ApiResponse:
        asked = read_body(call.request, fields={"user_id": str, "all": bool})
        user_id, is_all = asked.get("user_id"), asked.get("all", False)
        if user_id is None and not is_all:
            raise InvalidValueError("user_id", "must be given, or all: true")
        if user_id is not None and is_all:
            raise InvalidValueError("all", "and user_id contradict each other")
        epoch = self._service.sessions.invalidate(user_id=user_id, actor=call.actor, source=call.source)
        return json_response({"ended": ending_document(epoch, user_id=user_id)})
