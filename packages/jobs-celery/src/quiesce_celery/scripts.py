"""What happens in Redis in one step, or not at all: Lua scripts over the keys of one broker.

``running`` holds the runs, ``bodies`` the message that would put each back, ``dead`` the messages that must not run
again, ``killing`` the runs whose processes are about to be killed. Each may be repeated when its answer was lost.
"""

from __future__ import annotations

from redis import Redis

from .broker import Broker
from .notes import KEPT_SECONDS, Run, restored_id

_BEGIN = """
local held, running, bodies, dead, list = unpack(KEYS)
local run, note, body, mark, id, again, kept = unpack(ARGV)
if redis.call('EXISTS', dead) == 1 then return 'dead' end
local function as(id) return (string.gsub(body, mark, (string.gsub(id, '%%', '%%%%')))) end
if body ~= '' and redis.call('EXISTS', held) == 1 then
  redis.call('SET', dead, 'held', 'EX', kept)
  redis.call('RPUSH', list, as(id))
  return 'held'
end
redis.call('HSET', running, run, note)
if body ~= '' then redis.call('HSET', bodies, run, as(again)) end
return 'runs'
"""

_END = """
local running, bodies, held, killing, outcome, dead, again = unpack(KEYS)
local run, state, kept, list = unpack(ARGV)
local doomed = redis.call('HEXISTS', killing, run) == 1
if redis.call('HDEL', running, run) == 0 then return doomed and 'doomed' or 'unknown' end
if doomed or redis.call('EXISTS', held) == 1 then
  redis.call('SET', outcome, state, 'EX', kept)
  if state ~= 'REJECTED' then redis.call('SET', dead, state, 'EX', kept) end
  local body = redis.call('HGET', bodies, run)
  if state == 'stopped' and body then
    redis.call('HSET', again, 'list', list, 'body', body)
    redis.call('EXPIRE', again, kept)
  elseif doomed then
    redis.call('DEL', again)
  end
end
redis.call('HDEL', bodies, run)
return doomed and 'doomed' or 'ended'
"""

_CLAIM = """
local running, bodies, killing, outcome, dead, again = unpack(KEYS)
local run, kept, list = unpack(ARGV)
if redis.call('HEXISTS', running, run) == 0 then return 0 end
redis.call('HSET', killing, run, 1)
redis.call('EXPIRE', killing, kept)
redis.call('SET', outcome, 'killed', 'EX', kept)
redis.call('SET', dead, 'killed', 'EX', kept)
local body = redis.call('HGET', bodies, run)
if body then
  redis.call('HSET', again, 'list', list, 'body', body)
  redis.call('EXPIRE', again, kept)
end
return 1
"""

_REAP = """
local running, bodies, killing, asked, outcome, held, lost = unpack(KEYS)
local run, kept = unpack(ARGV)
local note = redis.call('HGET', running, run)
if not note then return 0 end
if redis.call('EXISTS', held) == 1 then
  redis.call('HSET', lost, run, note)
  redis.call('EXPIRE', lost, kept)
end
redis.call('HDEL', running, run)
redis.call('HDEL', bodies, run)
redis.call('HDEL', killing, run)
redis.call('HDEL', asked, run)
redis.call('SET', outcome, 'gone', 'NX', 'EX', kept)
return 1
"""

_RESTORE = """
local mark, again = unpack(KEYS)
if redis.call('EXISTS', mark) == 1 then return 'before' end
local list, body = unpack(redis.call('HMGET', again, 'list', 'body'))
if not body then return 'unknown' end
redis.call('LPUSH', list, body)
redis.call('SET', mark, 1, 'EX', ARGV[1])
redis.call('DEL', again)
return 'now'
"""


class Scripts:
    """The scripts, over the keys of one broker."""

    def __init__(self, broker: Broker) -> None:
        self._ours = broker.ours
        redis: Redis = broker.redis
        self._begin, self._end, self._claim, self._reap, self._restore = (
            redis.register_script(source) for source in (_BEGIN, _END, _CLAIM, _REAP, _RESTORE)
        )

    def begin(self, run: Run, *, body: str, mark: str, own_id: str, again_id: str) -> str:
        """Write a run down, unless work is held back: then its message goes back to its queue.

        Args:
            run: the run.
            body: a message like its own, with ``mark`` where the id goes; empty: there is none.
            mark: only letters and digits.
            own_id: the task's id as it is within a JSON string.
            again_id: the same of the id under which it would be put back.

        Returns:
            ``runs``, ``held``, or ``dead``: this message must not run.
        """
        keys = [self._ours(name) for name in ("held", "running", "bodies")]
        keys += [self._ours("dead", run.tag), run.list]
        answer = self._begin(keys, [run.key, run.encode(), body, mark, own_id, again_id, KEPT_SECONDS])
        return _text(answer)

    def end(self, run: Run, state: str) -> str:
        """Take a run out; ``doomed``: its process is about to be killed, and must take no other task."""
        keys = [self._ours(name) for name in ("running", "bodies", "held", "killing")]
        answer = self._end([*keys, *self._after(run)], [run.key, state, KEPT_SECONDS, run.list])
        return _text(answer)

    def claim(self, run: Run) -> bool:
        """Doom a run, if it has not ended: from now on its process takes no other task."""
        keys = [self._ours(name) for name in ("running", "bodies", "killing")]
        return bool(self._claim([*keys, *self._after(run)], [run.key, KEPT_SECONDS, run.list]))

    def reap(self, run: Run) -> bool:
        """Take out a run whose process has ended without a word; under a hold it is kept for the ledger."""
        keys = [self._ours(name) for name in ("running", "bodies", "killing", "asked")]
        keys += [self._ours("outcome", run.key), self._ours("held"), self._ours("lost")]
        return bool(self._reap(keys, [run.key, KEPT_SECONDS]))

    def restore(self, id_: str) -> str:
        """Put a message back under this id; ``now``, ``before``, or ``unknown``: there is none."""
        return _text(self._restore([self._ours("restored", id_), self._ours("again", id_)], [KEPT_SECONDS]))

    def _after(self, run: Run) -> list[str]:
        again = restored_id(run.id, run.tag)
        return [self._ours("outcome", run.key), self._ours("dead", run.tag), self._ours("again", again)]


def _text(answer: object) -> str:
    return answer.decode() if isinstance(answer, bytes) else str(answer)
