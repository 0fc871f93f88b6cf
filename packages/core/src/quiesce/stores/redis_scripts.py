"""The Lua scripts of the Redis store; each is one atomic step.

Every script gets all keys in the order of ``KEYS``, so that a Cluster sees each key it touches. Times are milliseconds
by the server's clock.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

KEYS = ("state", "audit", "workers", "acknowledgements", "heartbeats", "batches", "counts", "leader", "incarnation")
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
    """A script and its digest, by which a server that has it is asked for it."""

    source: str
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        digest = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "digest", digest)


COMMIT = Script(
    _PROLOGUE
    + """local expected, revision, body, token, channel = unpack(ARGV, 1, 5)
local current = redis.call('HGET', state, 'revision') or '0'
-- The same commit, sent again because the answer was lost.
if redis.call('HGET', state, 'token') == token then return {1, current} end
if current ~= expected then return {0, current} end
-- An error after the first write would leave half a commit.
local kind = redis.call('TYPE', audit).ok
if kind ~= 'list' and kind ~= 'none' then return redis.error_reply('WRONGTYPE the audit trail is no list') end
"""
    + _STARTED
    + """redis.call('HSET', state, 'revision', revision, 'body', body, 'token', token)
for index = 6, #ARGV do redis.call('RPUSH', audit, ARGV[index]) end
redis.call('PUBLISH', channel, revision)
return {1, revision}
"""
)
"""ARGV: expected revision, revision, body, token, channel, audit records… → {1 or 0, revision}."""

REGISTER = Script(
    _PROLOGUE
    + _STARTED
    + """redis.call('HSET', workers, ARGV[1], ARGV[2])
redis.call('HDEL', acknowledgements, ARGV[1])
redis.call('HSET', heartbeats, ARGV[1], string.format('%.0f', now))
return 1
"""
)
"""ARGV: id, body."""

REPORT = Script(
    _PROLOGUE
    + """local id, acknowledgement, batch = unpack(ARGV, 1, 3)
if redis.call('HEXISTS', workers, id) == 0 then return 0 end
redis.call('HSET', acknowledgements, id, acknowledgement)
redis.call('HSET', heartbeats, id, string.format('%.0f', now))
if tonumber(batch) > tonumber(redis.call('HGET', batches, id) or '-1') then
  redis.call('HSET', batches, id, batch)
  for index = 4, #ARGV, 2 do redis.call('HINCRBY', counts, ARGV[index], ARGV[index + 1]) end
end
return 1
"""
)
"""ARGV: id, acknowledgement, batch, then key and count by turns → 0: not listed."""

DEREGISTER = Script(
    _PROLOGUE
    + """for _, key in ipairs({workers, acknowledgements, heartbeats, batches}) do redis.call('HDEL', key, ARGV[1]) end
return 1
"""
)
"""ARGV: id."""

WORKERS = Script(
    _PROLOGUE
    + """local found, ids = {}, redis.call('HKEYS', workers)
for _, id in ipairs(ids) do
  local heard = redis.call('HGET', heartbeats, id) or '0'
  table.insert(found, {id, redis.call('HGET', workers, id), redis.call('HGET', acknowledgements, id), now - heard})
end
return found
"""
)
"""→ list of {id, body, acknowledgement or nil, age}."""

LEAD = Script(
    _PROLOGUE
    + """local holder = redis.call('GET', leader)
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', leader, ARGV[1], 'PX', ARGV[2])
return 1
"""
)
"""ARGV: id, lease → 0: another one holds it."""

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
