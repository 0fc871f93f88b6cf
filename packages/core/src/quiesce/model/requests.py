"""Who asks for what: requests, principals."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from .errors import InvalidValueError

WEBSOCKET = "WEBSOCKET"
"""Method under which a WebSocket handshake is classified: it can carry anything, so it is no safe method."""


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """What a classifier sees of a request.

    Attributes:
        method: HTTP method in capitals, or ``WEBSOCKET``.
        path: decoded once, normalised, letter case kept, without the mount prefix and the query.
    """

    method: str
    path: str


@dataclass(frozen=True, slots=True)
class Principal:
    """Who sent a request, as the application says at this moment.

    Attributes:
        user_id: the application's own identifier, never shown publicly.
        is_admin: whether maintenance lets them through; asked for live at each decision, never kept.
        session_id: identifies the session among the user's, if the application has such a thing.
        authenticated_at: when they logged in (UTC), if known.
        is_interactive: a person at a browser rather than a program with a token.

    Raises:
        InvalidValueError: ``is_admin`` is no boolean; what merely looks true makes nobody an admin.
    """

    user_id: str
    is_admin: bool = False
    session_id: str | None = None
    authenticated_at: datetime | None = None
    is_interactive: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.is_admin, bool):
            raise InvalidValueError("is_admin", f"{self.is_admin!r:.40} is neither True nor False")
        object.__setattr__(self, "user_id", str(self.user_id))  # many databases count their users
