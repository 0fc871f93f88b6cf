"""Where the chain of audit records stands: a part of the state, and so apart from the list of the records."""

from __future__ import annotations

from dataclasses import dataclass

GENESIS = "none"
"""What stands for the hash of the record before the first."""


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The anchors of the audit trail's two ends.

    Attributes:
        number: of the last record.
        hash: of the last record; ``none``: the chain has no record yet; empty: there is no chain yet.
        dropped_number: of the last record that was dropped from the old end; 0: none was.
        dropped_hash: its hash.
    """

    number: int = 0
    hash: str = ""
    dropped_number: int = 0
    dropped_hash: str = GENESIS

    @property
    def has_begun(self) -> bool:
        """Whether there is a chain."""
        return bool(self.hash)


NO_HEAD = AuditHead()
