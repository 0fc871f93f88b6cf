"""One trial: a system, a client, operators and a nemesis; then peace, the end, and the reading of the history."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random

from quiesce import Store, open_store
from quiesce.testing import eventually

from .client import send
from .disk import small_disk
from .history import Closing, History, Outcome, Recorder, Request, now, read_history
from .ledger import Entry, Ledger
from .nemesis import Harm, Nemesis, RedisUnderTest, harm_to_operators, harms_to_redis, harms_to_sqlite, harms_to_workers
from .operators import Operator
from .proxy import Proxy
from .systems import Server, Watch, end_input, is_alive, kill, living_children, start, start_server

WORKERS = 2
_PEACE_SECONDS = 20.0
_HARD_LIMIT_SECONDS = 150.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisSite:
    """A Redis for a trial: how it is harmed, emptied, and reached."""

    server: RedisUnderTest
    flush: Callable[[], None]
    port: int
    far_port: int
    """Where machine B finds it, over a network that can be cut."""


class Trial:
    """Runs in a folder; everything that it starts ends with ``run``.

    Args:
        seed: from which the client, the operators and the nemesis draw all that they do.
        seconds: for how long the nemesis rages.
        folder: for the history, the logs and the store.
        ports: for the two servers.
        redis: ``None``: the store is a SQLite file.
    """

    def __init__(
        self, *, seed: int, seconds: float, folder: Path, ports: Sequence[int], redis: RedisSite | None
    ) -> None:
        self._seed = seed
        self._seconds = seconds
        self._folder = folder
        self._ports = ports
        self._redis = redis
        self._rng = Random(f"{seed}-nemesis")
        self._recorder = Recorder(folder)
        self._servers: list[Server] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        self._asked = 0
        self._stack = ExitStack()

    def run(self) -> tuple[History, Ledger]:
        """Return what was recorded, and what the store holds at the end."""
        limit = threading.Timer(_HARD_LIMIT_SECONDS, self._kill_servers)
        limit.daemon = True
        limit.start()
        with self._stack:
            self._stack.callback(limit.cancel)
            ledger = self._on_sqlite() if self._redis is None else self._on_redis(self._redis)
        return read_history(self._folder), ledger

    def _on_sqlite(self) -> Ledger:
        disk = self._stack.enter_context(small_disk(self._folder / "disk", self._writers))
        database = disk.folder / "maintenance.db"
        url = f"sqlite:///{database}"
        self._serve([("flask", "A", url, 150), ("fastapi", "A", url, 300)])
        return self._go_on(url, lambda: harms_to_sqlite(database, disk))

    def _on_redis(self, redis: RedisSite) -> Ledger:
        proxy = Proxy(port=redis.far_port, target=redis.port)
        self._stack.callback(proxy.close)
        url, far_url = (f"redis://127.0.0.1:{port}/0" for port in (redis.port, redis.far_port))
        for each in (url, far_url):
            self._stack.callback(_remove_board, each)
        self._serve([("flask", "A", url, 150), ("fastapi", "B", far_url, 0)])
        return self._go_on(url, lambda: harms_to_redis(redis.server, redis.flush, proxy))

    def _serve(self, servers: Sequence[tuple[str, str, str, int]]) -> None:
        for (kind, machine, url, rotate_after), port in zip(servers, self._ports, strict=True):
            server = start_server(
                kind,
                machine=machine,
                port=port,
                workers=WORKERS,
                rotate_after=rotate_after,
                folder=self._folder,
                environment={"MAINTENANCE_STORE_URL": url},
            )
            self._servers.append(server)
            self._stack.callback(kill, server.process)
        watch = Watch(self._servers, self._recorder)
        self._stack.callback(watch.stop)

    def _go_on(self, url: str, harms: Callable[[], list[Harm]]) -> Ledger:
        operator, victim = (Operator(name, store_url=url, folder=self._folder) for name in ("z", "n"))
        for each in (operator, victim):
            self._stack.callback(each.close)
        self._meet_workers(operator)
        has_timeouts = self._rng.random() < 0.4  # by the wall clock, so clocks are left alone then
        client = self._start("trial.client", str(self._seed), *(f"{s.machine}={s.port}" for s in self._servers))
        timeouts = "timeouts" if has_timeouts else "none"
        shifts = [self._start("trial.shift", name, str(self._seed), url, timeouts) for name in ("a", "b")]
        near = [server for server in self._servers if server.machine == "A"]
        nemesis = Nemesis(
            [
                *harms(),
                *harms_to_workers(self._servers, steps_clocks=not has_timeouts),
                harm_to_operators(victim),
            ],
            beside=harms_to_workers(near, steps_clocks=not has_timeouts),
            recorder=self._recorder,
            rng=self._rng,
        )
        nemesis.rage(seconds=self._seconds)
        for shift in shifts:
            assert end_input(shift) == 0, self._logs()
        self._maintain_in_peace(operator)
        assert end_input(client) == 0, self._logs()
        self._meet_all(operator)
        return read_ledger(operator)

    def _meet_workers(self, operator: Operator) -> None:
        """Return when every worker is listed; gunicorn's are with their first request."""

        def are_listed() -> bool:
            for server in self._servers:
                self._ask(server, "read")
            return len(operator.service.store.workers()) >= WORKERS * len(self._servers)

        try:
            eventually(are_listed, within=60)
        except AssertionError as exc:
            raise AssertionError(self._logs()) from exc

    def _maintain_in_peace(self, operator: Operator) -> None:
        """Do one maintenance with nobody in the way: after all that, it must succeed."""
        eventually(lambda: operator.disable(None) is not Outcome.UNKNOWN, within=_PEACE_SECONDS)
        window = eventually(lambda: operator.enable("normal"), within=_PEACE_SECONDS)
        expected = len(self._servers)  # one each: workers give way to others all the time
        limit = timedelta(seconds=_PEACE_SECONDS)
        for _ in range(2):
            assert operator.prove(window, "normal", timeout=limit, expected=expected), operator.service.quiescence()
            for server in self._servers * 10:
                self._ask(server, "write")
                self._ask(server, "write", user="root")
        assert operator.disable(None) is Outcome.DONE

    def _meet_all(self, operator: Operator) -> None:
        """Record who is there at the end, when each has been asked to write, or the time is up."""
        closed_at = now()
        met: set[int] = set()

        def listed() -> set[int]:
            return {each.worker.pid for each in operator.service.store.workers() if is_alive(each.worker.pid)}

        def are_met() -> bool:
            answers = [self._ask(server, "write") for server in self._servers]
            met.update(answer.pid for answer in answers if answer.status == 201)
            return listed() <= met

        with contextlib.suppress(AssertionError):
            eventually(are_met, within=_PEACE_SECONDS)
        self._recorder.record(Closing(at=closed_at, pids=tuple(sorted(listed()))))

    def _ask(self, server: Server, kind: str, *, user: str = "") -> Request:
        self._asked += 1
        op = f"trial-{self._asked}"
        return send(self._recorder, machine=server.machine, port=server.port, op=op, kind=kind, user=user)

    def _start(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        process = start([module, str(self._folder), *arguments], log=self._folder / f"{module}.log")
        self._processes.append(process)
        self._stack.callback(kill, process)
        return process

    def _writers(self) -> list[int]:
        """Return all that write to the store."""
        parents = [*(server.process.pid for server in self._servers), *(each.pid for each in self._processes)]
        return [*parents, *(child for parent in parents for child in living_children(parent))]

    def _kill_servers(self) -> None:
        for server in self._servers:
            kill(server.process)

    def _logs(self) -> str:
        return "\n".join(f"{path.name}:\n{path.read_text()[-3000:]}" for path in self._folder.glob("*.log"))


def read_ledger(operator: Operator) -> Ledger:
    """Return what the store has written down; another log that commits write to is one more name here."""
    store = operator.service.store
    revision = -1
    while revision != store.revision():  # the leader may still write down that it ran a hook
        revision = store.revision()
        trail, events = _trail(store), _events(store)
        report = operator.service.audit.verify()
    logs = {"audit": trail, "events": events}
    findings = tuple(finding.text for finding in report.findings)
    return Ledger(revision=revision, logs=logs, verdict=report.verdict, findings=findings)


def _trail(store: Store) -> tuple[Entry, ...]:
    return tuple(
        Entry(
            revision=record.revision,
            at=record.at.isoformat(),
            actor=record.actor,
            action=record.action,
            window=record.window_id or "",
            detail=record.detail,
        )
        for record in store.audit(limit=1_000_000)
    )


def _events(store: Store) -> tuple[Entry, ...]:
    return tuple(
        Entry(
            revision=event.revision,
            at=event.at.isoformat(),
            actor=event.actor,
            action=str(event.kind),
            window=event.window_id,
            detail=event.detail,
        )
        for event in store.events(limit=1_000_000)
    )


def _remove_board(url: str) -> None:
    store = open_store(url)
    if store.board_path is not None:
        store.board_path.unlink(missing_ok=True)
    store.close()
