"""Sends commands and scripts to Redis, and once more what a restarted server never answered."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import redis

from .redis_address import RedisAddress
from .redis_connect import connect, is_demoted, translated
from .redis_scripts import Script

T = TypeVar("T")

REPLICA_WAIT_MILLISECONDS = 100
"""How long a commit waits for a replica to have it."""
_REPLICAS_KNOWN_SECONDS = 10.0


class RedisClient:
    """The connections of one process; a child makes its own.

    Whatever is sent must bear being sent twice.
    """

    def __init__(self, address: RedisAddress, *, prefix: str) -> None:
        self._address = address
        self._prefix = prefix
        self._keys: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._redis = connect(address)
        self._has_replicas = False
        self._replicas_asked_at = float("-inf")

    def command(self, name: str, key: str, *arguments: object) -> Any:
        """Return the answer to a command about one of ``KEYS``."""
        return self._send(lambda: self._redis.execute_command(name, self._prefix + key, *arguments))

    def commands(self, *commands: tuple[object, ...]) -> list[Any]:
        """Return the answers to commands, sent in one go but each for itself; one with a key has it second."""
        return self._send(lambda: self._execute_all(commands))

    def run(self, script: Script, *arguments: object, is_awaited: bool = False) -> Any:
        """Return the answer of a script; an awaited one gives a replica, if there is any, a moment to have it too."""
        return self._send(lambda: self._evaluate(script, arguments, is_awaited=is_awaited))

    def close(self) -> None:
        """Close all connections."""
        self._redis.close()

    def _send(self, action: Callable[[], T]) -> T:
        with translated(self._address):
            try:
                return action()
            except redis.exceptions.AuthenticationError:
                raise
            except (redis.exceptions.ConnectionError, redis.exceptions.ResponseError) as exc:
                if isinstance(exc, redis.exceptions.ResponseError) and not is_demoted(exc):
                    raise
                self._redis.connection_pool.disconnect(inuse_connections=False)
                return action()

    def _evaluate(self, script: Script, arguments: tuple[object, ...], *, is_awaited: bool) -> Any:
        keys = self._keys_of(script)
        parameters = (len(keys), *keys, *arguments)
        evaluate = self._execute_and_wait if is_awaited and self._is_replicated() else self._redis.execute_command
        try:
            return evaluate("EVALSHA", script.digest, *parameters)
        except redis.exceptions.NoScriptError:
            return evaluate("EVAL", script.source, *parameters)

    def _execute_all(self, commands: tuple[tuple[object, ...], ...]) -> list[Any]:
        with self._redis.pipeline(transaction=False) as pipeline:
            for name, *arguments in commands:
                key = [f"{self._prefix}{arguments[0]}"] if arguments else []
                pipeline.execute_command(name, *key, *arguments[1:])
            answers: list[Any] = pipeline.execute(raise_on_error=False)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    def _keys_of(self, script: Script) -> tuple[str, ...]:
        found = self._keys.get(script.keys)
        if found is None:
            found = self._keys[script.keys] = tuple(self._prefix + name for name in script.keys)
        return found

    def _execute_and_wait(self, *command: object) -> Any:
        # WAIT is about the writes of its own connection, so both go over the same one.
        with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.execute_command(*command)
            pipeline.execute_command("WAIT", 1, REPLICA_WAIT_MILLISECONDS)
            answer = pipeline.execute(raise_on_error=False)[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _is_replicated(self) -> bool:
        now = time.monotonic()
        if now - self._replicas_asked_at > _REPLICAS_KNOWN_SECONDS:
            try:
                self._has_replicas = int(self._redis.info("replication").get("connected_slaves", 0)) > 0
            except redis.exceptions.ResponseError:
                self._has_replicas = False
            self._replicas_asked_at = now
        return self._has_replicas
