"""The Lua scripts of the Redis store; each is one atomic step.

Every script is given all the keys that it touches, so that a Cluster sees them. Times are milliseconds by the server's
clock.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

KEYS = (
    "state",
    "audit",
    "events",
    "workers",
    "acknowledgements",
    "heartbeats",
    "batches",
    "counts",
    "leader",
    "leases",
    "incarnation",
)
"""Names of the keys, behind the prefix ``{quiesce:SERVICE}:``."""

_NAMES = ", ".join(KEYS)
_NOW = """local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""
_PROLOGUE = f"local {_NAMES} = unpack(KEYS)\n{_NOW}"
_STARTED = """redis.call('SET', incarnation, string.format('%.0f', now), 'NX')
"""


@dataclass(frozen=True, slots=True)
class Script:
    """A script, its keys, and its digest, by which a server that has it is asked for it."""

    source: str
    keys: tuple[str, ...] = KEYS
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        digest = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "digest", digest)


COMMIT = Script(
    _PROLOGUE
    + """local expected, revision, body, token, channel, ids, records, keep = unpack(ARGV, 1, 8)
local current = redis.call('HGET', state, 'revision') or '0'
-- The same commit, sent again because the answer was lost.
if redis.call('HGET', state, 'token') == token then return {1, current} end
if current ~= expected then return {0, current} end
local id = redis.call('HGET', state, 'id')
if ids ~= '' and id and id ~= '' and not string.find(' ' .. ids .. ' ', ' ' .. id .. ' ', 1, true) then
  return {0, current}
end
-- An error after the first write would leave half a commit.
local kind = redis.call('TYPE', audit).ok
if kind ~= 'list' and kind ~= 'none' then return redis.error_reply('WRONGTYPE the audit trail is no list') end
kind = redis.call('TYPE', events).ok
if kind ~= 'stream' and kind ~= 'none' then return redis.error_reply('WRONGTYPE the events are no stream') end
"""
    + _STARTED
    + """redis.call('HSET', state, 'revision', revision, 'body', body, 'token', token, 'id', string.match(ids, '%S*$'))
local last = 8 + tonumber(records)
for index = 9, last do redis.call('RPUSH', audit, ARGV[index]) end
for index = last + 1, #ARGV do
  local place = revision .. '-' .. (index - last - 1)
  redis.call('XADD', events, 'MAXLEN', '~', keep, place, 'body', ARGV[index])
end
redis.call('PUBLISH', channel, body)
return {1, revision}
"""
)
"""ARGV: expected revision, revision, body, token, channel, ids of its commits, number of records, events to keep,
records…, events… → {1 or 0, revision}. The announcement is the state itself, so that nobody has to ask for it."""

DROP_AUDIT = Script(
    """local audit = KEYS[1]
local through, most = tonumber(ARGV[1]), tonumber(ARGV[2])
local count = 0
for place, body in ipairs(redis.call('LRANGE', audit, 0, most - 1)) do
  local found = tonumber(string.match(body, '^{"number":(%d+),') or '0')
  if found > through then break end
  count = place
end
if count > 0 then redis.call('LTRIM', audit, count, -1) end
return count
""",
    keys=("audit",),
)
"""ARGV: number up to which, how many at most → how many were dropped. Sent twice it drops nothing more."""

REGISTER = Script(
    _PROLOGUE
    + _STARTED
    + """redis.call('HSET', workers, ARGV[1], ARGV[2])
redis.call('HDEL', acknowledgements, ARGV[1])
redis.call('ZADD', heartbeats, now, ARGV[1])
return 1
"""
)
"""ARGV: id, body."""

REPORT = Script(
    """local state, workers, acknowledgements, heartbeats, batches, counts, leader = unpack(KEYS)
local id, acknowledgement, batch, lease = unpack(ARGV, 1, 4)
"""
    + _NOW
    + """if redis.call('HEXISTS', workers, id) == 0 then return false end
redis.call('HSET', acknowledgements, id, acknowledgement)
redis.call('ZADD', heartbeats, now, id)
if #ARGV > 4 and tonumber(batch) > tonumber(redis.call('HGET', batches, id) or '-1') then
  redis.call('HSET', batches, id, batch)
  for index = 5, #ARGV, 2 do redis.call('HINCRBY', counts, ARGV[index], ARGV[index + 1]) end
end
local leads = 0
if lease ~= '0' then
  local holder = redis.call('GET', leader)
  if not holder or holder == id then
    redis.call('SET', leader, id, 'PX', lease)
    leads = 1
  end
end
local found = redis.call('HMGET', state, 'revision', 'id')
return {found[1] or '0', found[2] or '', leads, now}
""",
    keys=("state", "workers", "acknowledgements", "heartbeats", "batches", "counts", "leader"),
)
"""ARGV: id, acknowledgement, batch, lease or 0, then key and count by turns → nothing: the worker is not listed; else
{revision, id of its commit, 1 or 0: leads, now}."""

DEREGISTER = Script(
    _PROLOGUE
    + """for _, key in ipairs({workers, acknowledgements, batches}) do redis.call('HDEL', key, ARGV[1]) end
redis.call('ZREM', heartbeats, ARGV[1])
return 1
"""
)
"""ARGV: id."""

WORKERS = Script(
    "local workers, acknowledgements, heartbeats = unpack(KEYS)\n"
    + _NOW
    + """return {now, redis.call('HGETALL', workers), redis.call('HGETALL', acknowledgements),
  redis.call('ZRANGE', heartbeats, 0, -1, 'WITHSCORES')}
""",
    keys=("workers", "acknowledgements", "heartbeats"),
)
"""→ {now, id and body by turns, id and acknowledgement by turns, id and time of the heartbeat by turns}."""

RESIGN = Script(
    _PROLOGUE
    + """if redis.call('GET', leader) == ARGV[1] then redis.call('DEL', leader) end
return 1
"""
)
"""ARGV: id."""

AGE = Script(
    _PROLOGUE
    + _STARTED
    + """return now - redis.call('GET', incarnation)
"""
)
"""→ the store's age."""
