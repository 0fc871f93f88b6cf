"""The shop's background work: a job for RQ, and a task for Celery."""

from __future__ import annotations

import os
import time
from pathlib import Path

from celery import Celery

import quiesce_celery

FOLDER = Path(os.environ["DEMO_FOLDER"])
app = Celery("shop", broker=os.environ["DEMO_REDIS_URL"])
app.conf.broker_connection_retry_on_startup = True
quiesce_celery.init_app(app)


def work_on(name: str) -> None:
    """Write down each beginning and each end; work until the demo says that it is enough."""
    _write(name, "began")
    while not (FOLDER / "enough").exists():
        time.sleep(0.1)
    _write(name, "ended")


@app.task(name="work.send_newsletter")  # type: ignore[untyped-decorator] # Celery ships no types
def send_newsletter(name: str) -> None:
    """Do it as a Celery task."""
    work_on(name)


def history(name: str) -> list[str]:
    """Return what was written down of a job, in order."""
    path = FOLDER / f"{name}.history"
    return path.read_text(encoding="ascii").split() if path.exists() else []


def _write(name: str, word: str) -> None:
    with (FOLDER / f"{name}.history").open("a", encoding="ascii") as file:
        file.write(f"{word}\n")
