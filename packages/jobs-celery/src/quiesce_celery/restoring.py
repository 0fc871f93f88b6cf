"""Putting tasks back: a copy of the message under an id that follows from it, in one step with the note that it was."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from quiesce import JobRecord

from .broker import Broker
from .fates import tag_of
from .looking import SOURCE
from .notes import restored_id
from .scripts import Scripts


def restore(broker: Broker, ledger: Iterable[JobRecord]) -> list[JobRecord]:
    """Return Celery's records, with the ids under which their tasks were put back, now or before."""
    scripts = Scripts(broker)
    return [_put_back(scripts, record) for record in ledger if record.source == SOURCE]


def _put_back(scripts: Scripts, record: JobRecord) -> JobRecord:
    if not record.is_restorable:
        return record
    id_ = restored_id(record.id, tag_of(record))
    if scripts.restore(id_) == "unknown":
        return replace(record, detail="the broker does not know its message any more")
    return replace(record, put_back_as=id_)
