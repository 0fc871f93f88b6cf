"""Runs Python programs in children of a process that has imported what they import: that is most of what they cost.

On each connection come a program's three standard files and, as JSON, its arguments, folder and environment; back go
its number and, when it has ended, its exit code. Each child is a process of its own, as a shell would start it, but
for its imports. A connection on which nothing comes is a lease: with the last of them this process ends.
"""

from __future__ import annotations

import atexit
import builtins
import contextlib
import gc
import importlib
import importlib.util
import io
import json
import multiprocessing.process
import os
import selectors
import signal
import socket
import sys
import threading
import time
import traceback
import types
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO

# What the programs of the tests import sooner or later. None of it starts a thread: forking is safe while there is one.
IMPORTED = (
    *("asyncio", "http.client", "logging.config", "sqlite3", "zoneinfo"),
    *("flask", "flask_login", "flask_session", "redis", "werkzeug.debug", "werkzeug.serving"),
    *("fastapi", "httpx", "pydantic", "uvicorn.main", "uvicorn.supervisors"),
    *("gunicorn.app.wsgiapp", "gunicorn.workers.gthread", "gunicorn.workers.sync", "gunicorn.glogging"),
    *("quiesce.cli.program", "quiesce.control.service", "quiesce.stores.redis", "quiesce.stores.sqlite"),
    *("quiesce_flask", "quiesce_fastapi"),
    *("celery.__main__", "celery.apps.worker", "celery.bin.celery", "celery.concurrency.prefork"),
    *("celery.backends.redis", "kombu.transport.redis"),
    *("quiesce_celery.entering", "quiesce_celery.installing", "quiesce_celery.steps"),
    *("quiesce_rq.ending", "rq.cli", "rq.worker"),
)
FORGOTTEN = "gunicorn"
"""Looks at the environment and the folder while it is imported: only what it imports itself is there when it starts."""

OURS = ("quiesce", "quiesce_flask")
"""Whose every module is imported, for they import each other late."""


class Nursery:
    """Serves one socket in one thread."""

    def __init__(self, address: str) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(address)
        self._listener.listen(128)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._waking, self._woken = socket.socketpair()
        self._selector.register(self._waking, selectors.EVENT_READ)
        self._leases: set[socket.socket] = set()
        self._children: set[int] = set()
        self._parents: dict[int, socket.socket] = {}
        self._path = [entry for entry in sys.path if entry != str(Path(__file__).parent)]
        self._filters = list(warnings.filters)

    def serve(self) -> None:
        """Take programs until the last lease is given back, or none has come."""
        for each in (self._waking, self._woken):
            each.settimeout(0)
        signal.set_wakeup_fd(self._woken.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the tests
        while self._leases or self._selector.select(60):
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    connection, _ = self._listener.accept()
                    self._leases.add(connection)
                    self._selector.register(connection, selectors.EVENT_READ)
                elif key.fileobj is self._waking:
                    self._reap()
                elif isinstance(key.fileobj, socket.socket):
                    self._hear(key.fileobj)
            if not self._leases:
                break
        for child in self._children:  # of tests that were killed
            os.kill(child, signal.SIGTERM)

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._waking.recv(4096)
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                self._children.discard(ended[0])
                parent = self._parents.pop(ended[0], None)
                if parent is not None:
                    self._answer(parent, os.waitstatus_to_exitcode(ended[1]))

    def _hear(self, connection: socket.socket) -> None:
        message: bytes = b""
        files: list[int] = []
        with contextlib.suppress(ConnectionResetError):
            message, files, _, _ = socket.recv_fds(connection, 1 << 20, 3)
        if not message:
            self._leases.discard(connection)
            self._selector.unregister(connection)
            self._parents = {pid: parent for pid, parent in self._parents.items() if parent is not connection}
            connection.close()
            return
        child = os.fork()
        if child == 0:
            order = json.loads(message)
            self._leave(files)
            start(order["words"], path=self._path, filters=self._filters, order=order)
        for file in files:
            os.close(file)
        self._leases.discard(connection)
        self._children.add(child)
        self._parents[child] = connection
        self._answer(connection, child)

    @staticmethod
    def _answer(connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):  # nobody asks any more
            connection.sendall(str(number).encode())

    def _leave(self, files: Sequence[int]) -> None:
        """In the child: have the program's files, and none of the nursery's."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        self._woken.close()
        self._selector.close()
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)


def start(words: Sequence[str], *, path: Sequence[str], filters: Sequence[Any], order: dict[str, Any]) -> NoReturn:
    """Be the Python that a shell would have started with these words."""
    if order["start_new_session"]:
        os.setsid()
    elif order["process_group"] is not None:
        os.setpgid(0, order["process_group"])
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    time.tzset()
    multiprocessing.process.ORIGINAL_DIR = str(Path.cwd())  # type: ignore[attr-defined]  # for what is spawned
    environment_path = os.environ.get("PYTHONPATH", "")
    sys.path[:] = [*filter(None, environment_path.split(os.pathsep)), *path]

    def again(_file: str, *words: str) -> NoReturn:
        """Stand for execlp in a program that forks and would start Python in the child; see ``TERMINAL``."""
        become(words[1:], filters)

    builtins.become_python = again  # type: ignore[attr-defined]  # the stubs do not know it
    become(words, filters)


def become(words: Sequence[str], filters: Sequence[Any]) -> NoReturn:
    """Run what stands after ``python``, with the standard files as they are now, and end."""
    sys.stdin, sys.stdout, sys.stderr = streams()
    for name in ("stdin", "stdout", "stderr"):
        setattr(sys, f"__{name}__", getattr(sys, name))
    code = 1
    try:
        run(list(words), filters)
        code = 0
    except SystemExit as exit_:
        code = code_of(exit_)
    except KeyboardInterrupt:
        traceback.print_exc()
        code = -signal.SIGINT
    except BaseException:  # noqa: BLE001 - Python itself does the same
        sys.excepthook(*sys.exc_info())
    end(code)


def streams() -> tuple[TextIO, TextIO, TextIO]:
    """Open the standard files as Python does."""
    is_unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    opened: list[Any] = []
    for number, mode, first in ((0, "rb", sys.stdin), (1, "wb", sys.stdout), (2, "wb", sys.stderr)):
        is_raw = is_unbuffered and number > 0
        binary: Any = open(number, mode, buffering=0 if is_raw else -1, closefd=False)  # noqa: SIM115 - for good
        (binary if is_raw else binary.raw).name = first.name
        is_by_line = not is_raw and (number == 2 or (number == 1 and binary.isatty()))
        text = io.TextIOWrapper(
            binary, encoding=first.encoding, errors=first.errors, line_buffering=is_by_line, write_through=is_raw
        )
        text.mode = mode[0]  # type: ignore[misc]  # as Python does
        opened.append(text)
    return opened[0], opened[1], opened[2]


def run(words: list[str], filters: Sequence[Any]) -> None:
    """Run a module, code or a script as the main program."""
    warned = [option for option in os.environ.get("PYTHONWARNINGS", "").split(",") if option]
    while words[0] == "-W":
        warned.append(words[1])
        del words[:2]
    warnings.filters[:] = filters  # type: ignore[index]  # a list, whatever the stubs say
    sys.warnoptions[:] = warned
    warnings._processoptions(warned)  # type: ignore[attr-defined]  # what Python itself calls
    main = types.ModuleType("__main__")
    main.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = main
    if words[0] == "-m":
        sys.path.insert(0, str(Path.cwd()))
        spec = importlib.util.find_spec(words[1])
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{words[1]}.__main__")
        if spec is None or spec.origin is None:
            sys.exit(f"{sys.executable}: No module named {words[1]}")
        main.__spec__, main.__loader__, main.__file__, main.__package__ = spec, spec.loader, spec.origin, spec.parent
        sys.argv = [spec.origin, *words[2:]]
        code = spec.loader.get_code(spec.name)  # type: ignore[union-attr]  # a file's has it
    elif words[0] == "-c":
        sys.path.insert(0, "")
        sys.argv = ["-c", *words[2:]]
        code = compile(words[1], "<string>", "exec", dont_inherit=True)
    else:
        sys.path.insert(0, str(Path(words[0]).resolve().parent))
        main.__file__ = words[0]
        sys.argv = words
        code = compile(Path(words[0]).read_bytes(), words[0], "exec", dont_inherit=True)
    exec(code, main.__dict__)


def code_of(exit_: SystemExit) -> int:
    """Return the exit code that Python makes of it."""
    if exit_.code is None:
        return 0
    if isinstance(exit_.code, int):
        return exit_.code & 0xFF
    sys.stderr.write(f"{exit_.code}\n")
    return 1


def end(code: int) -> NoReturn:
    """End as Python does, but for taking each imported module apart."""
    with contextlib.suppress(KeyboardInterrupt):
        threading._shutdown()  # type: ignore[attr-defined]  # waits for its threads
    atexit._run_exitfuncs()
    sys.modules["__main__"].__dict__.clear()
    gc.collect()  # whoever forgot to close something hears of it
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = code or 120
    if code == -signal.SIGINT:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(code)


def import_all() -> None:
    """Import what programs import; what an environment does not have is not needed in it."""
    for name in IMPORTED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for name in [name for name in sys.modules if name.partition(".")[0] == FORGOTTEN]:
        del sys.modules[name]
    for package in OURS:
        root = Path(importlib.import_module(package).__file__ or "").parent
        for file in sorted(root.rglob("*.py")):
            name = ".".join((package, *file.relative_to(root).with_suffix("").parts))
            if file.stem not in {"__init__", "__main__"} and "testing" not in name:
                with contextlib.suppress(ImportError):
                    importlib.import_module(name)


if __name__ == "__main__":
    nursery = Nursery(sys.argv[1])
    import_all()
    if threading.active_count() != 1:
        sys.exit(f"a thread was started: {threading.enumerate()}")
    gc.collect()
    gc.freeze()
    if os.fork() == 0:  # whoever has waited knows that it may connect now
        nursery.serve()
    os._exit(0)
