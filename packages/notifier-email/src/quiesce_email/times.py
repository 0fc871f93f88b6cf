"""Times as people read them: local and in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo


def shown(at: datetime, *, zone: str | None) -> str:
    """Return such as ``2026-11-27 22:00 CET (2026-11-27 21:00 UTC)``, or only the latter without a zone."""
    utc = f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if zone is None or zone == "UTC":
        return utc
    local = at.astimezone(ZoneInfo(zone))
    name = f"{local:%Z}"
    named = f"UTC{name}" if name.startswith(("+", "-")) else name
    return f"{local:%Y-%m-%d %H:%M} {named} ({utc})"


def duration(span: timedelta) -> str:
    """Return such as ``1 h 30 min``, rounded up to whole minutes."""
    minutes = -(-span // timedelta(minutes=1))
    hours, rest = divmod(minutes, 60)
    parts = [f"{hours} h"] * bool(hours) + [f"{rest} min"] * bool(rest or not hours)
    return " ".join(parts)
