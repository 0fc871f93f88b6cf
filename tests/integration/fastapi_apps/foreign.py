"""An application from PyPI that nobody here wrote: CERN's index server, with maintenance mode and without."""

from __future__ import annotations

import os

from fastapi import FastAPI
from simple_repository_server.__main__ import create_app

from quiesce_fastapi import init_app


def bare() -> FastAPI:
    """Return the application as it is."""
    return create_app([os.environ["INDEX_FOLDER"]])


def covered() -> FastAPI:
    """Return it with maintenance mode; its routes are only added in its own lifespan, after this."""
    app = bare()
    init_app(app)
    return app
