"""The client: a few threads that send requests of every kind and record each, until standard input ends."""

from __future__ import annotations

import http.client
import sys
import threading
from pathlib import Path
from random import Random

from .history import Recorder, Request, now

THREADS = 5
_LONGEST_PAUSE_SECONDS = 0.1
_TIMEOUT_SECONDS = 20.0


def send(
    recorder: Recorder, *, machine: str, port: int, op: str, kind: str, path: str = "/items", user: str = ""
) -> Request:
    """Send one request on a connection of its own, and record what became of it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
    headers = {"X-Op": op} | ({"Cookie": f"user={user}"} if user else {})
    status, is_refusal, pid = 0, False, 0
    sent = now()
    try:
        connection.request("GET" if kind == "read" else "POST", path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        status, pid = answer.status, int(answer.getheader("X-Pid", "0"))
        is_refusal = status == 503 and answer.getheader("X-Maintenance-Mode") is not None
    except (OSError, http.client.HTTPException):
        status = 0  # its worker was killed, or there was none
    finally:
        connection.close()
    request = Request(
        op=op,
        kind=kind,
        is_admin=user == "root",
        machine=machine,
        sent=sent,
        received=now(),
        status=status,
        is_refusal=is_refusal,
        pid=pid,
    )
    recorder.record(request)
    return request


def _hammer(recorder: Recorder, servers: dict[int, str], *, rng: Random, name: str, stop: threading.Event) -> None:
    number = 0
    while not stop.wait(rng.uniform(0, _LONGEST_PAUSE_SECONDS)):
        number += 1
        port, machine = rng.choice(list(servers.items()))
        kind, path = rng.choices([("write", "/items"), ("write", "/stream"), ("read", "/items")], [5, 2, 3])[0]
        seconds = rng.choices([0.0, 0.05, 0.4], [80, 15, 5])[0]
        user = rng.choices(["", "ann", "root"], [4, 2, 4])[0]
        target = f"{path}?seconds={seconds}"
        send(recorder, machine=machine, port=port, op=f"{name}-{number}", kind=kind, path=target, user=user)


def main(folder: str, seed: str, *servers: str) -> None:
    """Hammer the servers, given as ``machine=port``."""
    recorder = Recorder(Path(folder))
    ports = {int(port): machine for machine, _, port in (server.partition("=") for server in servers)}
    stop = threading.Event()
    threads = []
    for index in range(THREADS):
        settings = {"rng": Random(f"{seed}-client-{index}"), "name": f"c{index}", "stop": stop}
        threads.append(threading.Thread(target=_hammer, args=(recorder, ports), kwargs=settings))
    for thread in threads:
        thread.start()
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
