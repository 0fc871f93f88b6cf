"""Ends, suspends and refuses sessions, whatever keeps them: before each request it looks, after each it stamps.

The stamp is a key in the session itself: the generation of the epoch at the login. It comes back as old when a request
in flight saves its session once more after that was deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, request
from flask.sessions import SessionMixin

from quiesce import Decision, EnhancedMaintenanceModeService, Principal, SessionVerdict, token_refusal

from .activity import SessionActivity
from .admission import Admission
from .environs import path_of
from .identifying import Identifier
from .remembering import add_companion, forget_user, ignore_user, remembered_stamp
from .responses import to_response
from .throwaway import opened_session, set_aside, take_over

if TYPE_CHECKING:
    from .stored_sessions import StoredSessions

STAMP = "_quiesce"
"""The key in a session; one without it is of generation 0."""


@dataclass(frozen=True, slots=True)
class _Visit:
    """What was true when the request began.

    Attributes:
        generation: what a login by this request is stamped with: whoever proved who they are before a revocation is
            not to survive it.
        stamp: of the session.
        principal: whose request it is; ``None``: nobody's.
        is_known: whether anybody was asked.
        by_header: the principal is known by ``Authorization``, not by the session.
        aside: the session that does not count for now.
        sid: names what is stored of the session, if it is kept on a server and nobody may log in.
        content: of that session.
    """

    generation: int
    stamp: int = 0
    principal: Principal | None = None
    is_known: bool = True
    by_header: bool = False
    aside: SessionMixin | None = None
    sid: str | None = None
    content: Mapping[str, Any] | None = None


def install_session_control(
    app: Flask,
    admission: Admission,
    *,
    service: EnhancedMaintenanceModeService,
    identifier: Identifier,
    stored: StoredSessions | None = None,
) -> None:
    """Look at each session before anything else does, and again after everything else.

    It goes behind the second look, by which the request has been entered at the gate.
    """
    key = f"{admission.key}.sessions"
    sessions = service.sessions
    activity = SessionActivity(service, identifier=identifier, stored=stored)
    control = _SessionControl(admission, service=service, identifier=identifier, activity=activity)

    def look_at_session() -> Response | None:
        if sessions.is_idle:
            return None
        visit, answer = control.begin(opened_session())
        if visit is not None:
            request.environ[key] = visit
        return answer

    def stamp_session(response: Response) -> Response:
        visit: _Visit | None = request.environ.pop(key, None)
        if visit is not None:
            return control.end(visit, response)
        if sessions.is_idle:
            activity.note_unjudged(opened_session())
        return response

    app.before_request_funcs.setdefault(None, []).insert(1, look_at_session)
    # They run in reverse: this one sees what every other has done to the session and the response.
    app.after_request_funcs.setdefault(None, []).insert(0, stamp_session)


class _SessionControl:
    def __init__(
        self,
        admission: Admission,
        *,
        service: EnhancedMaintenanceModeService,
        identifier: Identifier,
        activity: SessionActivity,
    ) -> None:
        self._admission = admission
        self._activity = activity
        self._sessions = service.sessions
        self._identifier = identifier

    def begin(self, session: SessionMixin) -> tuple[_Visit | None, Response | None]:
        """Return what to remember of the request, and the answer to it if it goes no further."""
        was_accessed = session.accessed
        remembered = remembered_stamp(session)
        stamp = _stamp_of(session) if remembered is None else remembered
        try:
            visit, answer = self._judge(session, stamp, is_remembered=remembered is not None)
        finally:
            # The answer to whoever stays does not depend on who they are, as long as the view does not look.
            session.accessed = was_accessed
        if (
            visit is not None
            and visit.aside is None
            and session
            and self._sessions.is_refusing_logins
            and hasattr(session, "sid")
        ):
            visit = replace(visit, content=dict(session), sid=session.sid)
        return visit, answer

    def _judge(
        self, session: SessionMixin, stamp: int, *, is_remembered: bool
    ) -> tuple[_Visit | None, Response | None]:
        if not is_remembered:
            if not session:
                return self._judge_header()
            if not self._sessions.is_refusing_logins and not self._sessions.must_be_judged(stamp):
                return _Visit(self._sessions.generation, stamp, is_known=False), None
        return self._judge_session(session, stamp, is_remembered=is_remembered)

    def _judge_session(
        self, session: SessionMixin, stamp: int, *, is_remembered: bool
    ) -> tuple[_Visit | None, Response | None]:
        generation = self._sessions.generation
        is_answered, principal = self._identifier.try_identify(request.environ)
        if not is_answered:
            # Nobody knows whether it is over. It is not ended, and it does not count.
            return self._set_aside(session, generation), None
        if principal is None:
            return _Visit(generation, stamp), None
        if "HTTP_AUTHORIZATION" in request.environ and principal.authenticated_at is not None:
            return self._judge_token(principal)
        verdict = self._sessions.judge(principal, stamp=stamp)
        if verdict is SessionVerdict.SUSPENDED:
            return self._set_aside(session, generation), None
        if verdict is SessionVerdict.REVOKED:
            session.clear()
            forget_user(session)
            self._sessions.log_invalidated(principal)
            return self._judge_header()
        if is_remembered and stamp and session.get("_user_id") is not None:
            session[STAMP] = stamp
        return _Visit(generation, stamp, principal), None

    def _judge_header(self) -> tuple[_Visit | None, Response | None]:
        """Judge a request whose session says nothing; ``Authorization`` may say who it is all the same."""
        generation = self._sessions.generation
        if "HTTP_AUTHORIZATION" not in request.environ:
            return _Visit(generation), None
        principal = self._identifier.identify(request.environ)
        if principal is None:
            return _Visit(generation), None
        if principal.authenticated_at is not None:
            return self._judge_token(principal)
        if principal.is_interactive:
            # A password with each request is a login with each request.
            decision = self._sessions.refuse_login(principal, path=path_of(request.environ))
            if decision is not None:
                return None, self._render(decision)
        return _Visit(generation, principal=principal, by_header=True), None

    def _judge_token(self, principal: Principal) -> tuple[_Visit | None, Response | None]:
        if self._sessions.judge(principal) is SessionVerdict.VALID:
            self._activity.note_token(principal, request.environ)
            return _Visit(self._sessions.generation, principal=principal, by_header=True), None
        return None, to_response(token_refusal())

    def _set_aside(self, session: SessionMixin, generation: int) -> _Visit:
        set_aside(session)
        ignore_user()
        return _Visit(generation, aside=session)

    def end(self, visit: _Visit, response: Response) -> Response:
        """Return the answer: this one, or the refusal of a login."""
        session = opened_session()
        principal = visit.principal
        if session.modified and (visit.is_known or _has_lost_stamp(visit, session)):
            principal = self._identifier.identify(request.environ)
            if principal is not None and _has_logged_in(visit, session, principal):
                decision = self._sessions.refuse_login(principal, path=path_of(request.environ))
                if decision is not None:
                    return self._undo_login(visit, response, decision)
                if visit.aside is not None:
                    take_over(visit.aside)
                self._activity.note_login(opened_session(), principal, generation=visit.generation)
                self._stamp(opened_session(), principal, visit)
            elif principal is not None and visit.by_header:
                self._stamp(session, principal, visit)
        if not visit.by_header:
            self._activity.note_session(opened_session(), principal)
        if visit.aside is not None:
            response.vary.add("Cookie")
        add_companion(response, stamp=_stamp_of(opened_session()))
        return response

    def _stamp(self, session: SessionMixin, principal: Principal, visit: _Visit) -> None:
        if visit.generation and not (principal.is_admin and self._sessions.is_refusing_logins):
            session[STAMP] = visit.generation
        elif STAMP in session:
            # Whoever is let in only for being an admin is judged at each request, and is out as soon as they are none.
            del session[STAMP]

    def _undo_login(self, visit: _Visit, response: Response, decision: Decision) -> Response:
        session = opened_session()
        if visit.content is not None and getattr(session, "sid", None) != visit.sid:
            # The view gave it another name, as it should at a log-in, and what was stored under the first is deleted.
            session.clear()
            session.update(visit.content)
            session.sid = visit.sid  # type: ignore[attr-defined]  # as Flask-Session's sessions have it
        else:
            set_aside(session)
        ignore_user()
        response.close()
        refusal = self._render(decision)
        refusal.vary.add("Cookie")
        return refusal

    def _render(self, decision: Decision) -> Response:
        return to_response(self._admission.render(decision, request.environ))


def _stamp_of(session: SessionMixin) -> int:
    was_accessed = session.accessed
    stamp = session.get(STAMP, 0)
    session.accessed = was_accessed
    return stamp if type(stamp) is int else 0


def _has_lost_stamp(visit: _Visit, session: SessionMixin) -> bool:
    """Whether the view emptied the session, as those do that log somebody in anew."""
    return visit.stamp > 0 and _stamp_of(session) != visit.stamp


def _has_logged_in(visit: _Visit, session: SessionMixin, principal: Principal) -> bool:
    before = visit.principal
    return before is None or before.user_id != principal.user_id or _has_lost_stamp(visit, session)
