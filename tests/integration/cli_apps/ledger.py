"""A Flask application whose writes say, from inside the view, when they begin and end."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import flask

from quiesce_flask import init_app

FACTS = Path(os.environ["LEDGER_FACTS"])

app = flask.Flask("ledger", static_folder=None)


def tell(fact: str) -> None:
    """Append one line; O_APPEND keeps those of several processes whole and in order."""
    with FACTS.open("ab", buffering=0) as facts:
        facts.write(f"{fact}\n".encode())


@app.post("/entries")
def add_entry() -> str:
    """Write so slowly that a command which did not wait would meet it."""
    tell("began")
    time.sleep(random.uniform(0.5, 1.5))
    tell("ended")
    return "written"


@app.get("/entries")
def list_entries() -> str:
    """Read."""
    return "entries"


init_app(app)
