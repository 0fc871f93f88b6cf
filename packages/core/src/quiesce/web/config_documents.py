"""Settings that the store keeps as JSON documents; no secret is in them."""

from __future__ import annotations

from typing import Any

from ..model import ConfiguredSetting, KeyRotation
from .documents import format_time


def setting_document(setting: ConfiguredSetting) -> dict[str, Any]:
    """Return a setting, for administrators."""
    return {
        "name": setting.name,
        "source": str(setting.source),
        "is_set": setting.is_set,
        "is_secret": setting.is_secret,
        "value": setting.value,
        "stored_at": None if setting.stored_at is None else format_time(setting.stored_at),
        "stored_by": setting.stored_by,
        "problem": setting.problem,
    }


def rotation_document(rotation: KeyRotation) -> dict[str, Any]:
    """Return what became of each secret."""
    return {
        "encrypted_anew": list(rotation.encrypted_anew),
        "up_to_date": list(rotation.up_to_date),
        "unreadable": list(rotation.unreadable),
    }
