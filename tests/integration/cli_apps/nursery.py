"""Runs commands in children of a process that has imported them already: starting Python costs more than most commands.

On each connection come a command's three standard files and, as JSON, its arguments, folder and environment; back goes
its exit code. Each child is a process of its own, as a shell would start it, but for its imports.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
from typing import Any

# What the commands import when they need it.
import quiesce.cli.sessions
import quiesce.cli.windows
import quiesce.control.service
import quiesce.stores.redis
import quiesce.stores.sqlite  # noqa: F401 - as above
from quiesce.cli import main


def serve(address: str) -> None:
    """Take commands until standard input ends."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the attendants
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while sys.stdin.buffer.fileno() not in select.select([listener, sys.stdin.buffer], [], [])[0]:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            attend(connection)
        connection.close()


def attend(connection: socket.socket) -> None:
    """Run one command and tell how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, files, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    child = os.fork()
    if child == 0:
        connection.close()
        become(json.loads(message), files)
    connection.sendall(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())
    os._exit(0)


def become(command: dict[str, Any], files: list[int]) -> None:
    """Be what a shell would have started."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(command["folder"])
    os.environ.clear()
    os.environ.update(command["environment"])
    sys.argv[1:] = command["arguments"]
    sys.exit(main())


serve(sys.argv[1])
