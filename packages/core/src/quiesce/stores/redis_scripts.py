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
_PROLOGUE = f"""local {_NAMES} = unpack(KEYS)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""
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

BEAT = Script(
    """local state, acknowledgements, heartbeats, leader = unpack(KEYS)
local id, acknowledgement, lease = unpack(ARGV)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Nothing changes when the worker is not listed, or was heard of in this very millisecond.
if redis.call('ZADD', heartbeats, 'XX', 'CH', now, id) == 0 and not redis.call('ZSCORE', heartbeats, id) then
  return false
end
redis.call('HSET', acknowledgements, id, acknowledgement)
local leads = 0
if lease ~= '0' then
  local holder = redis.call('GET', leader)
  if not holder or holder == id then
    redis.call('SET', leader, id, 'PX', lease)
    leads = 1
  end
end
local found = redis.call('HMGET', state, 'revision', 'id')
return {found[1] or '0', found[2] or '', leads}
""",
    keys=("state", "acknowledgements", "heartbeats", "leader"),
)
"""ARGV: id, acknowledgement, lease or 0 → nothing: not listed; else {revision, id of its commit, 1 or 0: leads}. What
every worker sends every second costs half of ``REPORT``."""

REPORT = Script(
    _PROLOGUE
    + """local id, acknowledgement, batch, lease, silence, most = unpack(ARGV, 1, 6)
if redis.call('HEXISTS', workers, id) == 0 then return false end
redis.call('HSET', acknowledgements, id, acknowledgement)
redis.call('ZADD', heartbeats, now, id)
if tonumber(batch) > tonumber(redis.call('HGET', batches, id) or '-1') then
  redis.call('HSET', batches, id, batch)
  for index = 7, #ARGV, 2 do redis.call('HINCRBY', counts, ARGV[index], ARGV[index + 1]) end
end
local leads = 0
if tonumber(lease) > 0 then
  local holder = redis.call('GET', leader)
  if not holder or holder == id then
    redis.call('SET', leader, id, 'PX', lease)
    leads = 1
  end
end
local silent = {}
for _, late in ipairs(redis.call('ZRANGEBYSCORE', heartbeats, '-inf', '(' .. (now - silence), 'LIMIT', 0, most)) do
  local body = redis.call('HGET', workers, late)
  if body then table.insert(silent, {body, now - redis.call('ZSCORE', heartbeats, late)}) end
end
local found = redis.call('HMGET', state, 'revision', 'id')
return {found[1] or '0', found[2] or '', leads, silent}
"""
)
"""ARGV: id, acknowledgement, batch, lease or 0, silence, most silent, then key and count by turns → nothing: the
worker is not listed; else what ``BEAT`` returns, and a list of {body, age} of workers that are silent."""

DEREGISTER = Script(
    _PROLOGUE
    + """for _, key in ipairs({workers, acknowledgements, batches}) do redis.call('HDEL', key, ARGV[1]) end
redis.call('ZREM', heartbeats, ARGV[1])
return 1
"""
)
"""ARGV: id."""

WORKERS = Script(
    _PROLOGUE
    + """local found, ids = {}, redis.call('HKEYS', workers)
for _, id in ipairs(ids) do
  local heard = redis.call('ZSCORE', heartbeats, id) or '0'
  table.insert(found, {id, redis.call('HGET', workers, id), redis.call('HGET', acknowledgements, id), now - heard})
end
return found
"""
)
"""→ list of {id, body, acknowledgement or nil, age}."""

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
