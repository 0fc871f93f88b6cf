"""Telling people before a command ends, if no worker does."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..model import QuiesceError

if TYPE_CHECKING:
    from ..control import EnhancedMaintenanceModeService
    from .terminal import Terminal

WITHIN_SECONDS = 3.0


def tell_people(service: EnhancedMaintenanceModeService, terminal: Terminal) -> None:
    """Deliver for a bounded time what the command has caused, and close the service; the rest waits for a worker."""
    sys.stdout.flush()
    try:
        for name, became in service.notifications.deliver(within_seconds=WITHIN_SECONDS).items():
            if became.problem:
                terminal.warn(f"notifier {name} has not delivered everything; a worker will: {became.problem}")
    except QuiesceError as exc:
        terminal.warn(f"people were not told from here; a worker will: {exc}")
    except KeyboardInterrupt:
        terminal.warn("interrupted while people were told; the command is done, and a worker tells the rest")
    finally:
        service.close()
