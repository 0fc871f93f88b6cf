"""Asks the application who sent a request; whatever goes wrong counts as nobody."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

import flask
from werkzeug.wrappers import Request

from quiesce import InvalidValueError, Principal

from .environs import header_key, pass_fields

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from flask.ctx import RequestContext

Identify = Callable[[Request], Principal | None]
"""An application's answer to "who is this?"; asked live, at each decision that needs it, and must not read the body."""
FlaskIdentify = Callable[[flask.Request], Principal | None]
"""The same, asked in a request context."""

F = TypeVar("F", bound=Callable[..., object])

logger = logging.getLogger("quiesce")


class Identifier:
    """Knows which requests can be somebody's at all, and whose.

    Raises:
        InvalidValueError: ``identify`` cannot be called, or is a coroutine function.
    """

    def __init__(self, identify: Identify, *, credential_headers: Iterable[str] = ()) -> None:
        self._identify = _checked(identify)
        # REMOTE_USER: a front-end server says whom it has let in.
        self._keys = {"HTTP_COOKIE", "HTTP_AUTHORIZATION", "REMOTE_USER", *map(header_key, credential_headers)}

    def is_credentialed(self, environ: WSGIEnvironment) -> bool:
        """Whether the request carries anything by which it could be somebody's."""
        return not environ.keys().isdisjoint(self._keys)

    def identify(self, environ: WSGIEnvironment) -> Principal | None:
        """Return who sent the request, or ``None``; never raises."""
        return self.try_identify(environ)[1]

    def try_identify(self, environ: WSGIEnvironment) -> tuple[bool, Principal | None]:
        """Return whether there was an answer, and who sent the request; never raises."""
        try:
            # A shallow request raises where it would read the body, which belongs to the view.
            answer: object = self._identify(Request(environ, populate_request=False, shallow=True))
        except Exception:
            # The application's fault; it must neither open the gate nor turn a refusal into an error.
            logger.exception("identify failed; the request counts as nobody's")
            return False, None
        if answer is None or isinstance(answer, Principal):
            return True, answer
        if inspect.iscoroutine(answer):
            answer.close()
        logger.error("identify answered %.80r, which is no Principal; the request counts as nobody's", answer)
        return False, None


class RequestCaller:
    """Whoever sent one request, for guards inside the view."""

    __slots__ = ("_environ", "_identifier")

    def __init__(self, identifier: Identifier | None, environ: WSGIEnvironment) -> None:
        self._identifier = identifier
        self._environ = environ

    def identify(self) -> Principal | None:
        """Return who it is, or ``None``."""
        return None if self._identifier is None else self._identifier.identify(self._environ)

    async def identify_async(self) -> Principal | None:
        """Return the same; an async view of Flask has its thread to itself."""
        return self.identify()

    def pass_fields(self) -> tuple[str, str]:
        """Return the fields in which a bypass pass may be."""
        return pass_fields(self._environ)


def in_request_context(app: flask.Flask, identify: FlaskIdentify) -> Identify:
    """Return an ``identify`` that is asked with the request of ``app``, inside a request context.

    Outside of the view a context is pushed on a copy of the environ, and popped again: the teardown functions run, the
    session is not saved, and nothing of the question is left in the request.

    Raises:
        InvalidValueError: ``identify`` cannot be called, or is a coroutine function.
    """
    _checked(identify)

    def identify_in_context(request: Request) -> Principal | None:
        if flask.has_request_context() and flask.request.environ is request.environ:
            return identify(flask.request)
        context = app.request_context(dict(request.environ))
        context.request.shallow = True
        context.push()
        try:
            answer = identify(context.request)
        except BaseException as exc:
            _pop(context, exc)
            raise
        _pop(context, None)
        return answer

    return identify_in_context


def _checked(identify: F) -> F:
    if not callable(identify):
        raise InvalidValueError("identify", f"{identify!r:.80} cannot be called")
    if inspect.iscoroutinefunction(identify):
        raise InvalidValueError("identify", "is a coroutine function; under WSGI it must be a plain one")
    return identify


def _pop(context: RequestContext, exc: BaseException | None) -> None:
    try:
        context.pop(exc)
    except Exception:
        # The answer stands: an admin is not locked out by a teardown function that missed what before_request sets up.
        logger.exception("a teardown function failed after identify")
