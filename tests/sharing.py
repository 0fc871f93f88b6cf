"""Which tests share something that is dear to start: they run in one process, one after the other."""

from __future__ import annotations

import re
from collections.abc import Mapping

from xdist.scheduler import LoadScopeScheduling

SHARING: Mapping[str, str] = {
    "celery_workers/test_celery_ending.py": "",
    "celery_workers/test_celery_guarding.py": "",
    "celery_workers/test_celery_holding.py": "",
    "flask_apps/test_flask_servers.py": r"\[(sync|gthread)\b",
    "flask_apps/test_httpbin.py": "",
    "flask_apps/test_sessions.py": r"\[(cookie|server|remember)\b",
}
"""Modules, and what tells their servers apart in the name of a test; what it does not fit shares nothing."""


class SharingScheduling(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist ships no types
    """Hands tests out one by one, and those that share together; most first."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


def unit_of(nodeid: str) -> str:
    """Return the name of what a test must run together with; its own: nothing."""
    for module, kinds in SHARING.items():
        if f"{module}::" in nodeid and (kind := re.search(kinds, nodeid)):
            return f"{module} {kind[0]}"
    return nodeid
