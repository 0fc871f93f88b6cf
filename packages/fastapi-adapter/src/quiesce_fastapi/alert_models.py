"""Alerts as pydantic models, for OpenAPI."""

from __future__ import annotations

from .documents import Document


class Alert(Document):
    """One alert that is open."""

    name: str
    rule: str
    subject: str
    since: str
    opened_at: str
    window_id: str
    detail: str


class Alerts(Document):
    """The alerts that are open."""

    is_stale: bool
    alerts: list[Alert]
