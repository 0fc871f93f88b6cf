"""A receiver of webhooks in a process of its own, which notes what came when, and how large its sender had become."""

from __future__ import annotations

import multiprocessing
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from multiprocessing.connection import Connection
from pathlib import Path

EARLY = 1_000
"""After so many the sender's memory is looked at for the first time."""

_START_SECONDS = 30
_POST_SECONDS = 300
"""A machine on which this is far over its budget is to say so, not to fail."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What a receiver got.

    Attributes:
        ids: of the messages, in the order in which they came.
        times: when each had come, in seconds of the monotonic clock.
        signed: how many had a signature.
        early_mib: the sender's peak after ``EARLY`` messages, or half of them where fewer are awaited.
        last_mib: the same after the last.
    """

    ids: list[str]
    times: list[float]
    signed: int
    early_mib: float
    last_mib: float


Listen = Callable[[int, int], Callable[[], Arrivals]]
"""Takes the sender's process id and how many to await; what it returns waits for them."""


@contextmanager
def receiving() -> Iterator[tuple[str, Listen]]:
    """Yield the address of a receiver, and what makes it listen anew; it ends with the block."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_receive, args=(theirs,), daemon=True)
    process.start()
    theirs.close()

    def listen(pid: int, count: int) -> Callable[[], Arrivals]:
        ours.send((pid, count))
        return lambda: _take(ours, _POST_SECONDS)

    try:
        yield f"http://127.0.0.1:{_take(ours, _START_SECONDS)}/hook", listen
    finally:
        process.kill()
        process.join()


def _take(connection: Connection, seconds: float) -> Arrivals:
    if not connection.poll(seconds):
        raise SystemExit(f"the receiver of the notices did not get them all in {seconds:.0f} s")
    found: Arrivals = connection.recv()
    return found


class _Server(HTTPServer):
    """One connection after the other, as notices come one after the other."""

    ids: list[str]
    times: list[float]
    signed: int


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.server.ids.append(self.headers.get("webhook-id", ""))
        self.server.times.append(time.monotonic())
        self.server.signed += "webhook-signature" in self.headers
        self.send_response_only(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _receive(connection: Connection) -> None:
    with _Server(("127.0.0.1", 0), _Handler) as server:
        connection.send(server.server_port)
        while True:
            pid, count = connection.recv()
            server.ids, server.times, server.signed = [], [], 0
            _handle(server, min(EARLY, count // 2))
            early_mib = peak_mib(pid)
            _handle(server, count)
            connection.send(Arrivals(server.ids, server.times, server.signed, early_mib, peak_mib(pid)))


def _handle(server: _Server, count: int) -> None:
    while len(server.times) < count:
        server.handle_request()


def peak_mib(pid: int) -> float:
    """Return the most that ever was in memory of a process."""
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="ascii"), re.MULTILINE)
    if found is None:
        raise SystemExit("the kernel does not say how much memory a process had")
    return int(found[1]) / 1024
