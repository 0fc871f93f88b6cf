"""The hash chain over the audit records: each is hashed together with the hash of the one before it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

from .audit_head import GENESIS, NO_HEAD, AuditHead
from .codec import encode_audit
from .records import AuditRecord
from .state import MaintenanceState

_PLAIN = "sha256:"
_KEYED = "hmac-sha256:"
_PURPOSE = b"quiesce.audit\x00"


class ChainLink(StrEnum):
    """What the hash of a record says of its place behind another."""

    SOUND = "sound"
    BROKEN = "broken"
    UNKNOWN_KEY = "unknown_key"
    """It was made with a key that is not known here."""


class AuditChain:
    """Chains records, and judges chained ones.

    Args:
        keys: secrets, the newest first: from it a key is derived that new records are hashed with (HMAC-SHA-256), and
            all of them judge. Without any, the hashes are plain SHA-256.
    """

    def __init__(self, keys: Sequence[str] = ()) -> None:
        self._secrets = tuple(keys)

    @functools.cached_property
    def _keys(self) -> dict[str, bytes]:
        """The derived keys by their names, the newest first."""
        derived = [_hmac(secret.encode("utf-8", "surrogatepass"), _PURPOSE) for secret in self._secrets]
        return {_hmac(key, b"name").hex()[:8]: key for key in derived}

    def extend(
        self,
        records: Sequence[AuditRecord],
        *,
        after: MaintenanceState,
        lost: AuditHead | None = None,
        left: AuditHead = NO_HEAD,
    ) -> tuple[tuple[AuditRecord, ...], AuditHead]:
        """Return the records of one commit as links of the chain, and where it stands then.

        Args:
            records: in order.
            after: the state that the commit replaces.
            lost: where the chain stood before the store lost something; the chain begins anew then.
            left: where it stands by its records, if the state does not say: an older version has committed meanwhile.
        """
        head = after.audit if after.audit.has_begun else left
        if not records:
            return (), AuditHead(0, GENESIS) if not after.revision and not head.has_begun else after.audit
        begins = self._reason(after, lost)
        number = max(head.number, 0 if lost is None else lost.number)
        previous = head.hash or GENESIS
        name = next(iter(self._keys), "")
        chained = []
        for record in records:
            number += 1
            link = replace(record, number=number, begins=begins, hash="")
            previous = _hash_of(link, previous=previous, name=name, key=self._keys.get(name, b""))
            chained.append(replace(link, hash=previous))
            begins = ""
        return tuple(chained), replace(head, number=number, hash=previous)

    def judge(self, record: AuditRecord, *, previous: str) -> ChainLink:
        """Return whether the record is as it was written, behind the one with this hash."""
        name, key = "", b""
        if is_keyed(record.hash):
            name = record.hash.removeprefix(_KEYED).partition(":")[0]
            key = self._keys.get(name, b"")
            if not key:
                return ChainLink.UNKNOWN_KEY
        expected = _hash_of(replace(record, hash=""), previous=previous, name=name, key=key)
        return ChainLink.SOUND if record.hash == expected else ChainLink.BROKEN

    def _reason(self, after: MaintenanceState, lost: AuditHead | None) -> str:
        """Return why the chain begins anew with the next record; empty: it goes on."""
        if lost is not None:
            return f"lost: known was {_describe(lost)}, the store was at {_describe(after.audit)}"
        if not after.audit.has_begun:
            return "upgraded: the records right before this one are in no chain" if after.revision else ""
        if is_keyed(after.audit.hash) and not self._secrets:
            return (
                f"unkeyed: the process that wrote this has no MAINTENANCE_SECRET_KEY; before: {_describe(after.audit)}"
            )
        return ""


def is_keyed(hash_: str) -> bool:
    """Whether a hash was made with a key."""
    return hash_.startswith(_KEYED)


def _describe(head: AuditHead) -> str:
    return f"record {head.number} {head.hash}" if head.has_begun else "no chain"


def _hash_of(record: AuditRecord, *, previous: str, name: str, key: bytes) -> str:
    data = previous.encode("utf-8", "surrogatepass") + b"\n" + encode_audit(record)
    if key:
        return f"{_KEYED}{name}:{_hmac(key, data).hex()}"
    from hashlib import sha256  # noqa: PLC0415 - brings OpenSSL, which commands that only read need not wait for

    return f"{_PLAIN}{sha256(data).hexdigest()}"


def _hmac(key: bytes, data: bytes) -> bytes:
    """Return HMAC-SHA-256 (RFC 2104)."""
    import hmac  # noqa: PLC0415 - as above

    return hmac.digest(key, data, "sha256")
