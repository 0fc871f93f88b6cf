"""What ``enable`` costs an operator while no webhook answers: ten dead ones beside none, in turns in one process."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from quiesce import EnhancedMaintenanceModeService, Settings
from quiesce_webhook import Webhook

from .harness import Effort, Spread
from .report import Row
from .stores import ADAPTERS

WEBHOOKS = 10
"""Half of them refuse a connection, the others take it and never answer."""
_BUDGET_RATIO = 1.25
_TOTAL_SECONDS = 1.0
"""Short, so that attempts also end while it is measured; between them lie the pauses of the outbox."""
_PAUSE_SECONDS = 0.02


def measure(folder: Path, *, effort: Effort) -> tuple[list[Row], dict[str, list[float]]]:
    """Open and close windows with two services that lead, of which one has the dead webhooks."""
    samples: dict[str, list[float]] = {"no webhook": [], f"{WEBHOOKS} dead webhooks": []}
    with ExitStack() as stack:
        addresses = stack.enter_context(_dead_addresses())
        services = {}
        for number, name in enumerate(samples):
            services[name] = _service(folder / f"dead-{number}.db", addresses if number else [])
            stack.callback(services[name].close)
            services[name].start()
        draw = random.Random(0)
        for _ in range(max(3, effort.flips // 5)):
            for name in draw.sample(list(samples), k=len(samples)):
                began = time.perf_counter()
                services[name].enable(reason="benchmark", actor="benchmark")
                samples[name].append((time.perf_counter() - began) * 1000)
                services[name].disable(actor="benchmark")
                time.sleep(_PAUSE_SECONDS)
        _check(services[f"{WEBHOOKS} dead webhooks"])
    none, dead = (Spread.of(each) for each in samples.values())
    ratio = dead.median / none.median
    rows = [
        Row(what="enable", contender=name, unit="ms", spread=Spread.of(each), note=f"SQLite; {len(each)} calls")
        for name, each in samples.items()
    ]
    rows.append(
        Row(
            what="enable, ratio of the medians",
            contender=f"{WEBHOOKS} dead webhooks to none",
            unit="x",
            spread=Spread(ratio, ratio, ratio),
            budget=_BUDGET_RATIO,
        )
    )
    return rows, {f"enable, {name} (ms)": each for name, each in samples.items()}


def _service(path: Path, addresses: list[str]) -> EnhancedMaintenanceModeService:
    plugins = (*ADAPTERS, "celery", "email", "rq", "webhook")
    service = EnhancedMaintenanceModeService(Settings(store_url=f"sqlite:///{path}", disabled_plugins=plugins))
    for number, address in enumerate(addresses):
        webhook = Webhook(address, allow_private=True, total_seconds=_TOTAL_SECONDS)
        service.add_plugin(webhook, name=f"webhook:{number}")
    return service


def _check(service: EnhancedMaintenanceModeService) -> None:
    """See that each webhook was tried, and none took anything: else this would have measured something else."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        told = service.notifications.list()
        if len(told) == WEBHOOKS and all(each.problem for each in told):
            return
        time.sleep(0.05)
    raise SystemExit("the dead webhooks were not tried")


@contextmanager
def _dead_addresses() -> Iterator[list[str]]:
    with socket.create_server(("127.0.0.1", 0), backlog=1_000) as silent, socket.socket() as refusing:
        refusing.bind(("127.0.0.1", 0))  # and does not listen
        ports = [each.getsockname()[1] for each in (silent, refusing)]
        yield [f"http://127.0.0.1:{ports[number % 2]}/{number}" for number in range(WEBHOOKS)]
