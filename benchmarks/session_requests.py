"""What a request with a session costs an ASGI application, after everybody's older ones were ended."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from quiesce_fastapi.identity import Identity
from quiesce_fastapi.refusing import RefusalSender
from quiesce_fastapi.session_control import SessionControl

from .asgi import drive, null_app
from .field import Request
from .harness import Effort, Run, Spread, added, take_turns
from .report import Row
from .stores import make_service

_BARE = "bare"
_CONTENT = {"user": "bob", "_quiesce": 1, "_quiesce_id": "0123456789abcdef", "basket": {"apples": 1, "pears": [1, 2]}}


def measure(folder: Path, *, effort: Effort) -> tuple[list[Row], dict[str, list[float]]]:
    """Return the rows, and the nanoseconds of every turn."""
    with closing(make_service(f"sqlite:///{folder}/requests.db")) as service:
        service.start()
        service.sessions.invalidate(actor="benchmark")
        control: Any = SessionControl(
            null_app,
            service=service,
            identity=Identity(lambda request: None),
            refusals=RefusalSender(),
            path_of=lambda scope: str(scope["path"]),
            is_own=lambda path: False,
            token_cookies=(),
        )
        request = Request("GET", "/items/7")
        runs: dict[str, Run] = {
            _BARE: drive(_with_session(null_app, _CONTENT), request),
            "a session that counts": drive(_with_session(control, _CONTENT), request),
            "no session": drive(_with_session(control, {}), request),
        }
        samples = take_turns(runs, effort=effort)
    rows = [
        Row(
            what="null ASGI: sessions were ended once",
            contender=f"Quiesce's session control, {name}",
            unit="us",
            spread=Spread.of(added(samples, name, over=_BARE)).scaled(1e-3),
            note="added",
        )
        for name in samples
        if name != _BARE
    ]
    return rows, {f"sessions were ended once: {name} (ns)": figures for name, figures in samples.items()}


def _with_session(app: Any, content: dict[str, Any]) -> Any:
    """Return what a middleware makes of the scope that keeps sessions: the application, with a session in it."""

    def call(scope: Any, receive: Any, send: Any) -> Any:
        scope["session"] = content
        return app(scope, receive, send)

    return call
