"""Deletes what Redis keeps of sessions that are over, slowly and in the background, and reads none of it.

Everything that decides stands in the key: at a log-in the session gets an id that begins with the generation and a
keyed hash of its user, unless they are an admin. So a sweep looks at names alone; nothing is fetched or unpickled,
nothing is kept beside, and a session under any other name stays.
"""

from __future__ import annotations

import hmac
import logging
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

from flask import Flask
from flask.sessions import SessionMixin

from quiesce import (
    EnhancedMaintenanceModeService,
    InvalidValueError,
    Principal,
    QuiesceError,
    SessionDeletion,
    SessionInvalidation,
    StoreError,
    hookimpl,
)

_NAME = re.compile(rb"q(\d{1,15})\.([0-9a-f]{16})\.")
_GLOB = re.compile(rb"([*?\[\]\\^-])")
_MOST_SECONDS = 3300.0
_TOLD_SECONDS = 1.0
_LEAST_PAUSE_SECONDS = 0.001
_MOST_PAUSE_SECONDS = 1.0

logger = logging.getLogger("quiesce")


class RedisClient(Protocol):
    """What is used of a ``redis.Redis``."""

    @property
    def connection_pool(self) -> Any:
        """Where the time-out of its answers stands."""

    @property
    def scan(self) -> Callable[..., Any]:
        """``SCAN``."""

    @property
    def unlink(self) -> Callable[..., Any]:
        """``UNLINK``."""

    @property
    def dbsize(self) -> Callable[..., Any]:
        """``DBSIZE``."""

    @property
    def info(self) -> Callable[..., Any]:
        """``INFO``."""


class StoredSessions:
    """Sessions that Flask-Session keeps in Redis, or another session interface with ``sid`` and ``regenerate``.

    Give it to ``init_app``. The sweep runs in the worker that leads the cluster, goes on where a killed one was, and
    pauses after each batch for as long as that took, so that other clients of the same Redis have their turn.

    Args:
        redis: a ``redis.Redis`` that returns bytes and has a ``socket_timeout``.
        key_prefix: of the session interface.
        batch: how many keys Redis looks at in one command.
        name: of the plugin, if several applications share one service.

    Raises:
        InvalidValueError: ``redis`` is a cluster's, waits for answers without end, or decodes them; ``batch`` is out of
            range.
    """

    def __init__(
        self, redis: RedisClient, *, key_prefix: str = "session:", batch: int = 100, name: str = "flask-sessions"
    ) -> None:
        options = getattr(getattr(redis, "connection_pool", None), "connection_kwargs", None)
        if options is None:
            raise InvalidValueError("redis", "must be a redis.Redis; a cluster cannot be swept")
        if options.get("socket_timeout") is None:
            raise InvalidValueError(
                "redis", "needs a socket_timeout: a Redis that hangs must not hold the sweep for ever"
            )
        if options.get("decode_responses"):
            raise InvalidValueError("redis", "must return bytes: names of other keys need not be text")
        if not 1 <= batch <= 10_000:
            raise InvalidValueError("batch", "must be from 1 to 10000 keys")
        self.name = name
        self._redis = redis
        self._prefix = key_prefix.encode()
        self._batch = batch
        self._service: EnhancedMaintenanceModeService | None = None
        self._secret = b""
        self._has_warned = False

    def install(self, service: EnhancedMaintenanceModeService) -> None:
        """Become a plugin of this service; ``init_app`` does it.

        Raises:
            ConflictError: the service serves requests already.
            PluginError: it has a plugin of this name.
        """
        service.add_plugin(self, name=self.name)
        settings = service.settings
        self._secret = (settings.secret_key or f"stored sessions of {settings.service_name}").encode()
        self._service = service

    def rename(self, app: Flask, session: SessionMixin, principal: Principal, *, generation: int) -> None:
        """Give the session of somebody who has just logged in the id by which a sweep knows it.

        Args:
            app: whose session interface makes ids and deletes what is stored under the old one.
            session: to be saved after this.
            principal: who logged in.
            generation: of the log-in.
        """
        prefix = "" if principal.is_admin else f"q{generation}.{self._hashed(principal.user_id)}."
        name = str(getattr(session, "sid", ""))
        named = _NAME.match(name.encode("utf-8", "replace"))
        if name.startswith(prefix) if prefix else named is None:
            return
        regenerate = getattr(app.session_interface, "regenerate", None)
        if regenerate is None:
            if not self._has_warned:
                self._has_warned = True
                logger.warning(
                    "the session interface cannot regenerate a session: none stored is deleted when it is over"
                )
            return
        regenerate(session)
        session.sid = prefix + session.sid  # type: ignore[attr-defined]  # as Flask-Session's sessions have it
        session.modified = True

    @hookimpl
    def on_session_invalidate(self, invalidation: SessionInvalidation) -> None:
        """Delete stored sessions of users that are over; raise what Redis raises, to be called again."""
        service = self._service
        if service is None:
            return
        user = b"*" if invalidation.user_id is None else self._hashed(invalidation.user_id).encode()
        pattern = _GLOB.sub(rb"\\\1", self._prefix) + b"q*." + user + b".*"
        server = str(self._redis.info("server").get("run_id", ""))
        told = self._resumed(service, invalidation, server=server)
        told = replace(told, expected=int(self._redis.dbsize()) + told.deleted)
        deadline, tell_at = time.monotonic() + _MOST_SECONDS, 0.0
        try:
            while not told.is_done and time.monotonic() < deadline:
                began = time.monotonic()
                told = self._swept(told, pattern, server=server)
                now = time.monotonic()
                if now >= tell_at:
                    tell_at = now + _TOLD_SECONDS
                    service.sessions.note_deletion(told)
                if not told.is_done:
                    time.sleep(min(max(now - began, _LEAST_PAUSE_SECONDS), _MOST_PAUSE_SECONDS))
        except BaseException:
            with suppress(StoreError):  # what went wrong first is told
                service.sessions.note_deletion(told)
            raise
        service.sessions.note_deletion(told)
        if not told.is_done:
            raise QuiesceError(f"{told.deleted} sessions are deleted; the rest follows")

    def _swept(self, told: SessionDeletion, pattern: bytes, *, server: str) -> SessionDeletion:
        """Return how far it is after one batch more."""
        cursor = int(told.position.partition(":")[2] or 0)
        cursor, keys = self._redis.scan(cursor, match=pattern, count=self._batch)
        over = [key for key in keys if self._is_over(key, below=told.generation)]
        deleted = int(self._redis.unlink(*over)) if over else 0
        looked_at = told.looked_at + self._batch
        if told.expected is not None:
            looked_at = told.expected if not cursor else min(looked_at, told.expected)
        return replace(
            told,
            looked_at=looked_at,
            deleted=told.deleted + deleted,
            is_done=not cursor,
            position=f"{server}:{cursor}",
        )

    def _resumed(
        self, service: EnhancedMaintenanceModeService, invalidation: SessionInvalidation, *, server: str
    ) -> SessionDeletion:
        """Return how far the sweep for this invalidation came; cursors are good for one process of Redis only."""
        for told in service.sessions.deletions():
            if (told.plugin, told.generation, told.user_id) != (
                self.name,
                invalidation.generation,
                invalidation.user_id,
            ):
                continue
            if server and told.position.partition(":")[0] == server:
                return told
        return SessionDeletion(plugin=self.name, generation=invalidation.generation, user_id=invalidation.user_id)

    def _is_over(self, key: bytes, *, below: int) -> bool:
        named = _NAME.match(key, len(self._prefix)) if key.startswith(self._prefix) else None
        return named is not None and int(named[1]) < below

    def _hashed(self, user_id: str) -> str:
        return hmac.digest(self._secret, user_id.encode("utf-8", "surrogatepass"), "sha256").hex()[:16]
