"""The ledger of jobs that were ended: each is claimed before it is put back, so that nobody does it twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..model import JobRecord, LedgerEntry
from .job_codec import decode_entry, encode_entry

if TYPE_CHECKING:
    from ..stores.items import Items

COLLECTION = "ledger"

_PAGE = 1000
_TRIES = 10


@dataclass(frozen=True, slots=True)
class Line:
    """An entry as it is stored.

    Attributes:
        key: in the collection.
        body: what is there now.
        entry: the same, read.
        age: seconds since it was last written.
    """

    key: str
    body: bytes
    entry: LedgerEntry
    age: float


class JobLedger:
    """All entries of one store."""

    def __init__(self, items: Items) -> None:
        self._items = items

    def lines(self, window_id: str | None = None) -> Iterator[Line]:
        """Yield the lines of one window, or of all, the newest first."""
        seen: set[str] = set()
        skip = 0
        while page := self._items.newest(COLLECTION, limit=_PAGE, skip=skip):
            skip += len(page)
            for item in page:
                if item.key in seen or (window_id is not None and not item.key.startswith(f"{window_id}:")):
                    continue
                seen.add(item.key)
                yield Line(item.key, item.body, decode_entry(item.body), item.age)

    def add(self, window_id: str, records: Iterable[JobRecord]) -> None:
        """Write what became of jobs; what was put back, or is being put back, stays as it is."""
        for record in records:
            key = _key(window_id, record)
            entry = LedgerEntry(window_id=window_id, record=replace(record, put_back_as=""))
            for _ in range(_TRIES):
                body = self._items.get(COLLECTION, [key]).get(key)
                if body is not None and _is_settled(decode_entry(body)):
                    break
                if self._items.put(COLLECTION, {key: encode_entry(entry)}, expected={key: body}):
                    break

    def claim(self, line: Line, *, by: str) -> Line | None:
        """Take a line for oneself; ``None``: somebody else was faster."""
        body = encode_entry(line.entry, claim=by)
        if not self._items.put(COLLECTION, {line.key: body}, expected={line.key: line.body}):
            return None
        return replace(line, body=body, entry=replace(line.entry, is_claimed=True))

    def settle(self, line: Line, *, put_back_as: str) -> LedgerEntry:
        """Say under which id a claimed job was put back; empty: it was not, and the claim is given up."""
        record = replace(line.entry.record, put_back_as=put_back_as)
        entry = replace(line.entry, record=record, is_claimed=False)
        self._items.put(COLLECTION, {line.key: encode_entry(entry)}, expected={line.key: line.body})
        return entry


def _is_settled(entry: LedgerEntry) -> bool:
    return bool(entry.record.put_back_as) or entry.is_claimed


def _key(window_id: str, record: JobRecord) -> str:
    """Return a key of bounded length, whatever a queue takes for an id."""
    told_apart = f"{record.source}\x00{record.id}".encode("utf-8", "surrogatepass")
    return f"{window_id}:{hashlib.sha256(told_apart).hexdigest()[:40]}"
