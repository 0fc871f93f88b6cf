"""The sender of messages, as MAINTENANCE_EMAIL_FROM names it."""

from __future__ import annotations

from dataclasses import dataclass

from .plain_text import header_text

LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends.

    Attributes:
        name: shown to readers; may be empty.
        address: where refusals that come later go to as well.
    """

    name: str
    address: str

    @classmethod
    def of(cls, text: str) -> Sender:
        """Return the sender of a text that the settings have accepted."""
        if not text.endswith(">"):
            return cls("", text)
        name, _, address = text[:-1].partition("<")
        return cls(header_text(name, longest=LONGEST_NAME).strip('" '), address)

    @property
    def domain(self) -> str:
        """Of the address; the ids of messages end with it."""
        return self.address.rpartition("@")[2]
