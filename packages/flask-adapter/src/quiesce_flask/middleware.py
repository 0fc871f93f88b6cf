"""The WSGI middleware: what a window closes does not reach the application behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, ClassVar

from quiesce import Caller, EnhancedMaintenanceModeService, OperationRefusedError, current_caller

from .admission import Admission
from .bodies import JudgedBody, StreamedBody, WholeBody, hook_into_file
from .environs import method_of, path_of
from .identifying import Identifier, Identify

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class MaintenanceModeMiddleware:
    """Wraps any WSGI application; ``init_app`` puts it around a Flask application.

    The request is entered before anything else happens, and is in flight until the server closes the response.

    Args:
        app: the application.
        service: whose windows hold; several middlewares may share it.
        identify: called with a ``werkzeug.Request`` when a request that carries a credential would be refused; returns
            a ``Principal`` or ``None``. It must not read the body. ``None``: only who has a pass passes what is closed.
        credential_headers: headers besides ``Cookie`` and ``Authorization`` by which a request may be somebody's;
            one that carries none of them is refused without asking.
        exempt_paths: paths that always pass, besides those of the settings.

    Raises:
        InvalidValueError: ``identify`` cannot be used.
    """

    _marks_requests: ClassVar[bool] = False
    """Whether each environ is told its entry's token; a second look needs it."""

    def __init__(
        self,
        app: WSGIApplication,
        *,
        service: EnhancedMaintenanceModeService,
        identify: Identify | None = None,
        credential_headers: Iterable[str] = (),
        exempt_paths: Iterable[str] = (),
    ) -> None:
        service.adopt_framework("wsgi")
        identifier = None if identify is None else Identifier(identify, credential_headers=credential_headers)
        self.admission = Admission(service, identifier=identifier, exempt_paths=exempt_paths)
        self.wrapped = app
        self._key = self.admission.key
        self._enter: Callable[[str, str], int] = self._enter_first

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on, or refuse it."""
        try:
            path = environ["PATH_INFO"]
        except KeyError:
            path = ""
        if not path or not path.isascii():
            path = path_of(environ)
        method = method_of(environ) if "HTTP_UPGRADE" in environ else environ["REQUEST_METHOD"]
        token = self._enter(method, path)
        if token < 0:
            return self._judged(-token, environ, start_response)
        if self._marks_requests:
            environ[self._key] = token
        try:
            result = self.wrapped(environ, start_response)
        except OperationRefusedError as exc:
            self.admission.leave(token)
            return self.admission.replace(exc.decision, environ, start_response)
        except BaseException:
            self.admission.leave(token)
            raise
        kind = type(result)
        if kind is list or kind is tuple:
            body = WholeBody(result)
            body.token = token
            body.end = self._end
            return body
        return self._streamed(result, token, environ, start_response, caller=None)

    def _enter_first(self, method: str, path: str) -> int:
        token = self.admission.enter(method, path)
        # From now on without the detour: this is the hot path.
        self._enter, self._end = self.admission.enter, self.admission.pop
        return token

    def _judged(self, token: int, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        admission = self.admission
        try:
            decision = admission.judge(token, environ)
            if not decision.is_allowed:
                return admission.refuse(decision, environ, start_response)
            if self._marks_requests:
                environ[self._key] = token
            caller = admission.caller(environ)
            if caller is None:
                result = self.wrapped(environ, start_response)
            else:
                reset = current_caller.set(caller)
                try:
                    result = self.wrapped(environ, start_response)
                finally:
                    current_caller.reset(reset)
        except OperationRefusedError as exc:
            admission.leave(token)
            return admission.replace(exc.decision, environ, start_response)
        except BaseException:
            admission.leave(token)
            raise
        kind = type(result)
        if kind is list or kind is tuple:
            body = WholeBody(result)
            body.token = token
            body.end = admission.pop
            return body
        return self._streamed(result, token, environ, start_response, caller=caller)

    def _streamed(
        self,
        result: Iterable[bytes],
        token: int,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        *,
        caller: Caller | None,
    ) -> Iterable[bytes]:
        if hook_into_file(result, self.admission, token, environ):
            return result
        if caller is None:
            return StreamedBody(result, self.admission, token, environ, start_response)
        return JudgedBody(result, self.admission, token, environ, start_response, caller=caller)
