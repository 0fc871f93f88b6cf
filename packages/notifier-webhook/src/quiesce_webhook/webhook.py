"""One webhook: where it is, how it is signed, in what shape it gets which events."""

from __future__ import annotations

import time
from collections.abc import Sequence

from quiesce import EventKind, InvalidValueError, Notice, Settings, hookimpl

from .addresses import Resolver, resolve
from .chat import slack_body, teams_body
from .payloads import standard_body
from .sending import TOTAL_SECONDS, post
from .signing import headers_of

_BODIES = {"standard": standard_body, "slack": slack_body, "teams": teams_body}


class Webhook:
    """A webhook as a plugin of its own, so that it is delivered and tried again apart from every other.

    Hand it to ``service.add_plugin(…, name="webhook:NAME")`` in every process of the application. It holds no
    connection and survives forks.

    Args:
        url: where to post; user name and password in it go as basic authentication.
        secrets: each ``whsec_`` and 24 to 64 bytes in base64; every one signs, so that a receiver may change over.
        shape: of the body: ``standard``, ``slack`` or ``teams``.
        events: the kinds that are sent; none: every kind.
        allow_private: whether addresses are taken that are not public: of this machine, its network, or a container's.
        total_seconds: how long an attempt may take, up to 60; keep it below ``MAINTENANCE_HOOK_TIMEOUT``.
        resolver: instead of the system's; returns the addresses of a host and port, and may block.

    Raises:
        InvalidValueError: ``total_seconds`` is out of range.
        SettingsError: another value is wrong; lists every fault by the setting that is for it, and shows no secret.
    """

    def __init__(
        self,
        url: str,
        *,
        secrets: Sequence[str] = (),
        shape: str = "standard",
        events: Sequence[EventKind | str] = (),
        allow_private: bool = False,
        total_seconds: float = TOTAL_SECONDS,
        resolver: Resolver = resolve,
    ) -> None:
        if not 0 < total_seconds <= 60:
            raise InvalidValueError("total_seconds", f"{total_seconds!r:.80} is not above 0, up to 60")
        checked = Settings(
            webhook_url=url,
            webhook_secrets=tuple(secrets),
            webhook_shape=shape,
            webhook_events=tuple(events),
            webhook_allow_private=allow_private,
        )
        self._url = url
        self._secrets = checked.webhook_secrets
        self._shape = checked.webhook_shape
        self._events = frozenset(checked.webhook_events)
        self._allow_private = checked.webhook_allow_private
        self._total_seconds = total_seconds
        self._resolver = resolver

    def __repr__(self) -> str:
        return f"<Webhook shape={self._shape}>"

    @hookimpl
    def notify(self, notice: Notice) -> None:
        """Post a notice, in bounded time; one of a kind that is not wanted counts as delivered.

        Raises:
            DeliveryError: the receiver did not take it; says whether, and when, to try again.
        """
        if self._events and notice.event.kind not in self._events:
            return
        body = _BODIES[self._shape](notice)
        headers = headers_of(notice.id, body, secrets=self._secrets, now_seconds=int(time.time()))
        post(
            self._url,
            body=body,
            headers=headers,
            resolver=self._resolver,
            allow_private=self._allow_private,
            total_seconds=self._total_seconds,
        )
