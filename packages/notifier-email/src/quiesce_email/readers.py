"""The two kinds of readers, who are told different things in different messages."""

from __future__ import annotations

from enum import StrEnum


class Readers(StrEnum):
    """For whom a message is written."""

    OPERATORS = "operators"
    """Told everything."""
    USERS = "users"
    """Told nothing of people, tickets and how the service is run."""
