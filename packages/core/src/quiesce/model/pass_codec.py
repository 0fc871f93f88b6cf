"""Bypass passes as the members of JSON objects, and back; what says nothing is left out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .passes import BypassPass
from .plan_codec import time_of, time_text


def passes_members(passes: Iterable[BypassPass]) -> list[dict[str, Any]]:
    """Return passes as what JSON can hold."""
    return [_members(each) for each in passes]


def passes_of(raw: Any) -> tuple[BypassPass, ...]:
    """Return the passes of these members; may raise what comes of wrong ones."""
    return tuple(
        BypassPass(
            id=str(item["id"]),
            name=str(item["name"]),
            expires_at=time_of(item["expires_at"]),
            window_id=None if item.get("window_id") is None else str(item["window_id"]),
            opens_emergencies=item.get("opens_emergencies", False) is True,
            is_revoked=item.get("is_revoked", False) is not False,
        )
        for item in raw
    )


def _members(one: BypassPass) -> dict[str, Any]:
    members: dict[str, Any] = {"id": one.id, "name": one.name, "expires_at": time_text(one.expires_at)}
    if one.window_id is not None:
        members["window_id"] = one.window_id
    if one.opens_emergencies:
        members["opens_emergencies"] = True
    if one.is_revoked:
        members["is_revoked"] = True
    return members
