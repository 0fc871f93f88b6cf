"""Which of the other packages are here to be compared with."""

from __future__ import annotations

from importlib import util

PEERS = {
    "fastapi-maintenance": ("fastapi_maintenance",),
    "waygate": ("waygate", "aiofiles", "openfeature", "packaging"),  # it asks for the last three only in its extras
    "django-maintenance-mode": ("django", "maintenance_mode"),
}


def is_installed(peer: str) -> bool:
    """Whether a peer and what it needs can be imported."""
    return all(util.find_spec(module) is not None for module in PEERS[peer])


def missing() -> list[str]:
    """Return the peers that will be left out."""
    return [peer for peer in PEERS if not is_installed(peer)]
