"""Operators as JSON documents; nothing of their secrets."""

from __future__ import annotations

from typing import Any

from ..model import Operator
from .documents import format_time


def operator_document(operator: Operator) -> dict[str, Any]:
    """Return an operator, for administrators."""
    return {
        "name": operator.name,
        "enrolled_at": format_time(operator.enrolled_at),
        "enrolled_by": operator.enrolled_by,
    }
