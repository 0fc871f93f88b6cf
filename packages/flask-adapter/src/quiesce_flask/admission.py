"""One service's gate as WSGI uses it: enter, judge, ask who it is, count, refuse."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from quiesce import ApiResponse, Caller, Decision, EnhancedMaintenanceModeService, Gate, Refusals

from .environs import PASS_KEY, pass_fields
from .identifying import Identifier, RequestCaller

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_STATUS = "503 Service Unavailable"


class Admission:
    """Decides on requests; the gate is made by the first of them, since making it opens the machine's board.

    Attributes:
        gate: there from the first ``enter`` on.
        enter: makes the entry, looks, returns its token, negated when it must be judged; the gate's own.
        leave: ends the entry; the gate's own, there from the first ``enter`` on.
        pop: the same called with ``(token, None)``, for the hot path; there from the first ``enter`` on.
        key: under which a request's environ holds its token while it is in flight here.
        identifier: whom to ask; ``None``: nobody passes what is closed.
    """

    __slots__ = (
        "_exempt_paths",
        "_page",
        "_problem",
        "_service",
        "enter",
        "gate",
        "identifier",
        "key",
        "leave",
        "pop",
    )
    gate: Gate
    leave: Callable[[int], None]
    pop: Callable[[int, None], object]

    def __init__(
        self, service: EnhancedMaintenanceModeService, *, identifier: Identifier | None, exempt_paths: Iterable[str]
    ) -> None:
        self.enter: Callable[[str, str], int] = self._enter_first
        self.key = f"quiesce.token.{id(service):x}"
        self.identifier = identifier
        self._service = service
        self._exempt_paths = tuple(exempt_paths)
        refusals = Refusals()
        self._problem, self._page = refusals.problem, refusals.page

    def judge(self, token: int, environ: WSGIEnvironment) -> Decision:
        """Return the final decision on an entered request, counted; may wait for the store when the lease lapsed."""
        gate = self.gate
        decision = gate.judge(token) or gate.revive_and_judge(token)
        if decision.is_allowed:
            return decision
        if PASS_KEY in environ or "HTTP_COOKIE" in environ:
            header, cookie = pass_fields(environ)
            passed = gate.passes.admit(token, decision, header=header, cookie=cookie)
            if passed is not None:
                return passed
        identifier = self.identifier
        if identifier is None or not identifier.is_credentialed(environ):
            gate.refuse(token, decision)
            return decision
        principal = identifier.identify(environ)
        user = "" if principal is None else str(principal.user_id)
        if principal is not None and principal.is_admin:
            return gate.bypass(token, decision, user=user)
        gate.refuse(token, decision, user=user)
        return decision

    def caller(self, environ: WSGIEnvironment) -> Caller | None:
        """Return whom guards in the view may ask who it is and for a pass, ``None`` when nobody can know."""
        identifier = self.identifier
        if identifier is not None and identifier.is_credentialed(environ):
            return RequestCaller(identifier, environ)
        if self.gate.passes.are_out and (PASS_KEY in environ or "HTTP_COOKIE" in environ):
            return RequestCaller(None, environ)
        return None

    def render(self, decision: Decision, environ: WSGIEnvironment) -> ApiResponse:
        """Return the 503 that this request is answered with."""
        return (self._page if "text/html" in environ.get("HTTP_ACCEPT", "") else self._problem)(decision)

    def refuse(self, decision: Decision, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        """Answer with the 503 and return its body."""
        answer = self.render(decision, environ)
        start_response(_STATUS, [*answer.headers])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer.body]

    def replace(self, decision: Decision, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        """Answer with the 503 instead of what raised the exception that is being handled; return its body.

        If bytes of that are out, the server raises the exception again (PEP 3333, "Error Handling").
        """
        answer = self.render(decision, environ)
        start_response(_STATUS, [*answer.headers], sys.exc_info())
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer.body]

    def _enter_first(self, method: str, path: str) -> int:
        gate = self._service.gate
        gate.policy.exempt(self._exempt_paths)
        self.gate = gate
        self.leave = gate.leave
        self.pop = gate.pop
        self.enter = gate.enter
        return gate.enter(method, path)
