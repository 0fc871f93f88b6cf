"""Response bodies that end their request's entry when the server closes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from quiesce import Caller, OperationRefusedError, current_caller

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from .admission import Admission


class WholeBody(list[bytes]):
    """The pieces of a list or tuple; a list itself, so that reading it costs a server nothing more.

    Attributes:
        token: of the entry; 0 once that has ended.
        end: ends it, called with ``(token, None)``: a gate's ``pop``.
    """

    __slots__ = ("end", "token")
    token: int
    end: Callable[[int, None], object]

    def close(self) -> None:
        """End the entry."""
        self.end(self.token, None)
        self.token = 0

    def __del__(self) -> None:  # the last resort, for a server that does not close
        if self.token:
            self.end(self.token, None)


class StreamedBody:
    """Any other iterable; a guard in it that refuses is answered with the 503 while no byte is out."""

    __slots__ = ("_admission", "_environ", "_result", "_start_response", "_token")

    def __init__(
        self,
        result: Iterable[bytes],
        admission: Admission,
        token: int,
        environ: WSGIEnvironment,
        start_response: StartResponse,
    ) -> None:
        self._result = result
        self._admission = admission
        self._token = token
        self._environ = environ
        self._start_response = start_response

    def __iter__(self) -> Iterator[bytes]:
        try:
            for piece in self._result:  # noqa: UP028 - 'yield from' would close the result, as the server does too
                yield piece
        except OperationRefusedError as exc:
            yield from self._admission.replace(exc.decision, self._environ, self._start_response)

    def close(self) -> None:
        """Close the original, and only then end the entry: what it does on closing belongs to the request."""
        try:
            close = getattr(self._result, "close", None)
            if close is not None:
                close()
        finally:
            self._admission.leave(self._token)

    def __del__(self) -> None:
        self._admission.leave(self._token)


class JudgedBody(StreamedBody):
    """A stream that began while a window was open: its guards learn who the caller is."""

    __slots__ = ("_caller",)

    def __init__(self, *parts: Any, caller: Caller) -> None:
        super().__init__(*parts)
        self._caller = caller

    def __iter__(self) -> Iterator[bytes]:
        pieces = iter(self._result)
        try:
            while (piece := self._next(pieces)) is not None:
                yield piece
        except OperationRefusedError as exc:
            yield from self._admission.replace(exc.decision, self._environ, self._start_response)

    def _next(self, pieces: Iterator[bytes]) -> bytes | None:
        # For one step only: between two, the thread is the server's.
        reset = current_caller.set(self._caller)
        try:
            return next(pieces, None)
        finally:
            current_caller.reset(reset)


class EntryEnd:
    """Ends an entry when it is called, at the latest when nothing refers to it any more."""

    __slots__ = ("_close", "_leave", "_token")

    def __init__(self, leave: Callable[[int], None], token: int, *, close: Callable[[], object] | None = None) -> None:
        self._leave = leave
        self._token = token
        self._close = close

    def __call__(self) -> None:
        """Close what there is to close, then end the entry."""
        try:
            if self._close is not None:
                self._close()
        finally:
            self._leave(self._token)

    def __del__(self) -> None:
        self._leave(self._token)


def hook_into_file(result: Any, admission: Admission, token: int, environ: WSGIEnvironment) -> bool:
    """End the entry when the server closes its own file wrapper; ``False``: this is none, or it takes no hook.

    The wrapper itself must reach the server, which sends it by ``sendfile``.
    """
    wrapper = environ.get("wsgi.file_wrapper")
    if type(result) is not wrapper or not hasattr(result, "__dict__"):
        return False
    result.close = EntryEnd(admission.leave, token, close=getattr(result, "close", None))
    return True
