"""The Redis that is Celery's broker: its keys as Celery's transport names them, and ours beside them."""

from __future__ import annotations

import json
import uuid
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

from celery import Celery
from redis import ConnectionError, Redis  # noqa: A004 - no other is meant here
from redis.backoff import NoBackoff
from redis.retry import Retry

from quiesce import QuiesceError

ANSWER_SECONDS = 1.0
"""How long one answer of Redis may take; counting may take two seconds in all."""


class NoRedisBrokerError(QuiesceError):
    """Raised when Celery's broker is something else than Redis."""


@dataclass(frozen=True, slots=True)
class Broker:
    """The broker of one application, as this process reaches it.

    Attributes:
        redis: a client whose every answer has a time-out.
        channel: of Celery's transport, which knows names and owns the client's connections.
        app: whose broker it is.
    """

    redis: Redis
    channel: Any
    app: Celery

    @classmethod
    def of(cls, app: Celery) -> Broker:
        """Connect.

        Raises:
            NoRedisBrokerError: the broker is no Redis.
            redis.RedisError: it does not answer.
        """
        timeouts = {"socket_timeout": ANSWER_SECONDS, "socket_connect_timeout": ANSWER_SECONDS}
        transport = app.connection_for_write(transport_options=timeouts).transport
        if transport.driver_type != "redis":
            raise NoRedisBrokerError(f"Celery's broker is {transport.driver_type!r:.40}; only Redis can be held")
        channel = transport.create_channel(transport)
        # Once more at once: Redis, or something on the way, closes idle connections. Each script may be repeated.
        once_more = Retry(NoBackoff(), 1, supported_errors=(ConnectionError,))
        channel.pool.connection_kwargs["retry"] = once_more
        return cls(Redis(connection_pool=channel.pool, retry=once_more), channel, app)

    def theirs(self, name: str) -> str:
        """Return the key of something of Celery's, with the prefix that it may be configured to have."""
        return f"{self.channel.global_keyprefix}{name}"

    def ours(self, *names: str) -> str:
        """Return a key of Quiesce's."""
        return self.theirs(":".join(("quiesce:celery", *names)))

    def list_of(self, queue: str, priority: int = 0) -> str:
        """Return the name of the list in which messages of a priority wait, without the prefix."""
        return str(self.channel._q_for_pri(queue, priority))  # noqa: SLF001 - only the transport knows how it names them

    def lists(self, queue: str) -> list[str]:
        """Return the keys of all lists of a queue."""
        return [self.theirs(self.list_of(queue, priority)) for priority in self.channel.priority_steps]

    @property
    def control_exchange(self) -> str:
        """What workers that can be remote-controlled listen to."""
        return str(self.app.control.mailbox.exchange.name)

    def probe(self) -> tuple[str, str]:
        """Return channel and body of a control message that is for nobody.

        Redis answers its publication with how many listen: also workers that are stopped, and without waiting for them.
        """
        exchange = self.control_exchange
        body: dict[str, Any] = {
            "method": "ping",
            "arguments": {},
            "destination": ["nobody"],
            "pattern": None,
            "matcher": None,
        }
        properties = {
            "body_encoding": "base64",
            "delivery_mode": 1,
            "delivery_tag": uuid.uuid4().hex,
            "delivery_info": {"exchange": exchange, "routing_key": ""},
            "priority": 0,
        }
        message = {
            "body": b64encode(json.dumps(body).encode()).decode(),
            "content-type": "application/json",
            "content-encoding": "utf-8",
            "headers": {},
            "properties": properties,
        }
        topic = self.channel._get_publish_topic(exchange, "")  # noqa: SLF001 - as above
        return self.theirs(topic), json.dumps(message)
