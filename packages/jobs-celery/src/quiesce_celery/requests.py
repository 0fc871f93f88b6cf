"""A worker's requests, in its main process: what is handed on to the door, given back to its queue, or was killed."""

from __future__ import annotations

import contextlib
import logging
import time
import uuid
import weakref
from functools import partial
from typing import Any

from celery.exceptions import TaskRevokedError
from celery.worker import state
from kombu.utils.json import dumps

from .entering import STASH
from .notes import Run

_MOST_ROUTES = 1000
_NOTICED_SECONDS = 30.0

logger = logging.getLogger("quiesce")


class Requests:
    """The requests of one worker; all of it runs in the thread of the worker's event loop, but for ``doom``.

    Args:
        node: the worker's name.
        incarnation: and what tells it from others of that name.
        pool: the kind of its pool.
    """

    def __init__(self, *, node: str, incarnation: str, pool: str) -> None:
        self._who = {"node": node, "incarnation": incarnation, "pool": pool}
        self._waiting: weakref.WeakSet[Any] = weakref.WeakSet()
        self._doomed: dict[tuple[str, int], float] = {}
        self._routes: dict[tuple[str, str], list[str]] = {}

    def receive(self, request: Any) -> None:
        """Take a request that was just received in hand, before it goes anywhere."""
        message = request.message
        properties = getattr(message, "properties", None) or {}
        tag = str(properties.get("delivery_tag", ""))
        request.quiesce_tag = tag
        request.quiesce_is_back = False
        self._waiting.add(request)
        request.execute_using_pool = partial(self._execute, weakref.ref(request), type(request).execute_using_pool)
        request.on_failure = partial(self._fail, weakref.ref(request), type(request).on_failure)
        list_, queue, body, mark = self._copy(message)
        run = {**self._who, "id": request.id, "name": request.type, "queue": queue, "list": list_, "tag": tag}
        request.delivery_info[STASH] = {"run": run, "body": body, "mark": mark}

    def give_back(self) -> int:
        """Give back all that waits in this process, for its time or for its turn; return how many were."""
        given = 0
        for request in list(self._waiting):
            if not request.quiesce_is_back and not request.acknowledged:
                request.quiesce_is_back = True
                request.reject(requeue=True)
                state.task_ready(request)
                given += 1
            self._waiting.discard(request)
        return given

    def count(self) -> tuple[int, int]:
        """Return how many are reserved and how many the pool works on."""
        active = _now_in(state.active_requests)
        reserved = (_now_in(state.reserved_requests) | _now_in(self._waiting)) - active
        return len(reserved), len(active)

    @property
    def is_killing(self) -> bool:
        """Whether a process was killed by us, and the pool has not noticed yet."""
        now = time.monotonic()
        for doomed, until in list(self._doomed.items()):
            if now > until:  # it came to its end in another way, such as by a time limit
                self._doomed.pop(doomed, None)
        return bool(self._doomed)

    def doom(self, run: Run) -> None:
        """Say that a run's process is about to be killed by us."""
        self._doomed[run.tag, run.pid] = time.monotonic() + _NOTICED_SECONDS

    def _execute(self, reference: Any, original: Any, pool: Any, **options: Any) -> Any:
        request = reference()
        self._waiting.discard(request)
        if request.quiesce_is_back:
            state.task_ready(request)
            raise TaskRevokedError(request.id)  # Celery's way to skip a request
        return original(request, pool, **options)

    def _fail(self, reference: Any, original: Any, *args: Any, **options: Any) -> Any:
        request = reference()
        if self._doomed.pop((request.quiesce_tag, request.worker_pid), None) is None:
            return original(request, *args, **options)
        state.task_ready(request)
        request.acknowledge()
        # Not with the request: its chord and its callbacks wait for the copy that is put back.
        request.task.backend.mark_as_revoked(
            request.id, "terminated for maintenance", request=None, store_result=bool(request.store_errors)
        )
        logger.warning("celery: task %s[%s] was terminated for maintenance", request.name, request.id)
        return None

    def _copy(self, message: Any) -> tuple[str, str, str, str]:
        """Return list, queue, and a message like this one with a mark for its id; all empty: there is none."""
        raw, channel = getattr(message, "_raw", None), message.channel
        info = message.delivery_info or {}
        exchange, routing_key = str(info.get("exchange") or ""), str(info.get("routing_key") or "")
        queues = self._queues(channel, exchange, routing_key)
        # Several: nobody knows where it came from. No id among the headers: Celery's first protocol.
        if len(queues) != 1 or raw is None or not (raw.get("headers") or {}).get("id"):
            return "", routing_key, "", ""
        priority = channel._get_message_priority(raw, reverse=False)  # noqa: SLF001 - the transport names its lists
        list_ = f"{channel.global_keyprefix}{channel._q_for_pri(queues[0], priority)}"  # noqa: SLF001 - as above
        mark = uuid.uuid4().hex
        headers = {name: value for name, value in raw["headers"].items() if name != "redelivered"}
        properties = {**raw["properties"], "delivery_tag": str(uuid.uuid4())}
        if properties.get("correlation_id") == headers["id"]:
            properties["correlation_id"] = mark
        copy = {**raw, "headers": {**headers, "id": mark}, "properties": properties}
        return list_, queues[0], str(dumps(copy)), mark  # type: ignore[no-untyped-call]  # kombu leaves it untyped

    def _queues(self, channel: Any, exchange: str, routing_key: str) -> list[str]:
        route = (exchange, routing_key)
        if route not in self._routes:
            if len(self._routes) >= _MOST_ROUTES:
                self._routes.clear()
            self._routes[route] = list(channel._lookup(exchange, routing_key))  # noqa: SLF001 - as the transport restores
        return self._routes[route]


def _now_in(requests: weakref.WeakSet[Any]) -> set[Any]:
    """Return what is in a set to which the threads of a pool may add meanwhile."""
    while True:
        with contextlib.suppress(RuntimeError):
            return set(requests)
