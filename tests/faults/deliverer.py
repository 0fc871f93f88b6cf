"""A process that leads and delivers: ``deliverer.py STORE PORT CLAIM_SECONDS``; it ends when it is killed."""

from __future__ import annotations

import socket
import sys
import time

from quiesce import MaintenanceEvent, Notice, Settings, SystemClock, hookimpl, open_store
from quiesce.control.outbox import Outbox
from quiesce.plugins import PluginManager


class ToReceiver:
    """Sends a line with the notice's id, and waits until it is taken."""

    def __init__(self, port: int) -> None:
        self._lines = socket.create_connection(("127.0.0.1", port)).makefile("rw")

    @hookimpl
    def notify(self, event: MaintenanceEvent, notice: Notice) -> None:
        """Send it."""
        self._lines.write(f"{event.id} {notice.id} {notice.attempt}\n")
        self._lines.flush()
        if self._lines.readline() != "taken\n":
            raise ConnectionError("the receiver is gone")


def main() -> None:
    """Deliver for ever."""
    url, port, claim_seconds = sys.argv[1:]
    plugins, store = PluginManager(), open_store(url)
    plugins.register(ToReceiver(int(port)), "receiver")
    outbox = Outbox(
        plugins=plugins,
        store=store,
        clock=SystemClock(),
        service_name="shop",
        hook_timeout_seconds=30.0,
        settings=Settings,
        claim_seconds=float(claim_seconds),
    )
    while True:
        outbox.step(store.load())
        time.sleep(0.02)


if __name__ == "__main__":
    main()
