"""Collections in a Redis: a hash of bodies and a sorted set of the times at which they were put, for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from .items import MOST_ITEMS, Item, check_changes, check_collection
from .redis_client import RedisClient
from .redis_scripts import Script

_PUT = """local bodies, times = unpack(KEYS)
local keep, checks = tonumber(ARGV[1]), tonumber(ARGV[2])
for index = 3, 2 + checks * 3, 3 do
  local found = redis.call('HGET', bodies, ARGV[index])
  if (ARGV[index + 1] == '0') ~= (found == false) then return 0 end
  if found and found ~= ARGV[index + 2] then return 0 end
end
-- An error after the first write would leave half of the changes.
for key, kind in pairs({[bodies] = 'hash', [times] = 'zset'}) do
  local found = redis.call('TYPE', key).ok
  if found ~= kind and found ~= 'none' then return redis.error_reply('WRONGTYPE a collection is something else') end
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
-- Scores grow with every put, also when the clock is set back or two come in one microsecond.
local last = redis.call('ZREVRANGE', times, 0, 0, 'WITHSCORES')[2]
if last and tonumber(last) >= now then now = tonumber(last) + 1 end
for index = 3 + checks * 3, #ARGV, 3 do
  if ARGV[index + 1] == '0' then
    redis.call('HDEL', bodies, ARGV[index])
    redis.call('ZREM', times, ARGV[index])
  else
    redis.call('HSET', bodies, ARGV[index], ARGV[index + 2])
    redis.call('ZADD', times, string.format('%.0f', now), ARGV[index])
    now = now + 1
  end
end
local spare = redis.call('ZCARD', times) - keep
if spare > 0 then
  for _, key in ipairs(redis.call('ZRANGE', times, 0, spare - 1)) do redis.call('HDEL', bodies, key) end
  redis.call('ZREMRANGEBYRANK', times, 0, spare - 1)
end
return 1
"""
"""ARGV: how many to keep, number of expectations, then key, 0 or 1, and body of each, then the same of the
changes → 1 or 0."""

_NEWEST = """local bodies, times = unpack(KEYS)
local since, skip, limit = unpack(ARGV)
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local least = since == '' and '-inf' or string.format('%.0f', now - since)
local found, answer = redis.call('ZREVRANGEBYSCORE', times, '+inf', least, 'WITHSCORES', 'LIMIT', skip, limit), {}
for index = 1, #found, 2 do
  local body = redis.call('HGET', bodies, found[index])
  if body then table.insert(answer, {found[index], body, string.format('%.0f', now - found[index + 1])}) end
end
return answer
"""
"""ARGV: microseconds to look back or nothing, how many to skip, how many to return → {key, body, age}…"""

_COUNT = """local times = unpack(KEYS)
if ARGV[1] == '' then return redis.call('ZCARD', times) end
local time = redis.call('TIME')
return redis.call('ZCOUNT', times, string.format('%.0f', time[1] * 1000000 + time[2] - ARGV[1]), '+inf')
"""
"""ARGV: microseconds to look back or nothing → number."""


class RedisItems:
    """All collections of one service; ages are by the server's clock."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client

    def put(
        self,
        collection: str,
        changes: Mapping[str, bytes | None],
        *,
        expected: Mapping[str, bytes | None] = MappingProxyType({}),
        keep: int = MOST_ITEMS,
        durable: bool = True,  # noqa: ARG002 - only a file is slower for it
    ) -> bool:
        """Change the items if those expected are as expected; say whether they were.

        After ``StoreUnreachableError`` they may have been changed all the same; and a change that was sent twice
        because its answer was lost may say no although it was made: look.
        """
        check_changes(changes, expected)
        check_collection(collection)
        listed = (*_listed(expected), *_listed(changes))
        return bool(self._client.run(_script(_PUT, collection), keep, len(expected), *listed))

    def get(self, collection: str, keys: Sequence[str]) -> dict[str, bytes]:
        """Return the bodies of those that are there."""
        if not keys:
            return {}
        found = self._client.command("HMGET", _names(collection)[0], *keys)
        return {key: body for key, body in zip(keys, found, strict=True) if body is not None}

    def newest(
        self, collection: str, *, within_seconds: float | None = None, limit: int = 1000, skip: int = 0
    ) -> tuple[Item, ...]:
        """Return items, the one put last first."""
        if limit < 1:
            return ()
        answer: list[Any] = self._client.run(_script(_NEWEST, collection), _microseconds(within_seconds), skip, limit)
        return tuple(Item(key.decode(), body, max(int(age), 0) / 1e6) for key, body, age in answer)

    def count(self, collection: str, *, within_seconds: float | None = None) -> int:
        """Return how many there are."""
        script = Script(_COUNT, keys=_names(collection)[1:])
        return int(self._client.run(script, _microseconds(within_seconds)))


def _names(collection: str) -> tuple[str, str]:
    return f"items.{collection}", f"times.{collection}"


def _script(source: str, collection: str) -> Script:
    return Script(source, keys=_names(collection))


def _microseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1e6:.0f}"


def _listed(items: Mapping[str, bytes | None]) -> list[bytes | str]:
    found: list[bytes | str] = []
    for key, body in items.items():
        found += (key, "0" if body is None else "1", body or b"")
    return found
