"""One worker process that serves a request and prints how many MiB of it are resident: run by ``memory.py``."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Contender:
    """How one worker is made; what is not needed for it must not be imported.

    Attributes:
        peer: the package from PyPI that it needs, by the name that ``peers`` has for it.
        bare: the contender that it is compared with; ``None``: it is that itself.
        serve: builds the application in a folder of its own and serves one request.
    """

    peer: str | None
    bare: str | None
    serve: Callable[[Path], object]


def _flask(folder: Path) -> object:
    return _serve_flask(lambda app: None)


def _flask_with_quiesce(folder: Path) -> object:
    return _serve_flask(
        lambda app: import_module("quiesce_flask").init_app(app, service=_service(folder, without="fastapi"))
    )


def _serve_flask(extend: Callable[[Any], object]) -> object:
    app: Any = import_module("flask").Flask("benchmark")
    app.add_url_rule("/", "home", lambda: "ok")
    kept = extend(app)
    status = app.test_client().get("/").status_code
    return _checked(status, app, kept)


def _fastapi(folder: Path) -> object:
    return _serve_fastapi(lambda app: None)


def _fastapi_with_quiesce(folder: Path) -> object:
    return _serve_fastapi(
        lambda app: import_module("quiesce_fastapi").init_app(app, service=_service(folder, without="flask"))
    )


def _fastapi_maintenance(folder: Path) -> object:
    middleware = import_module("fastapi_maintenance").MaintenanceModeMiddleware
    return _serve_fastapi(lambda app: app.add_middleware(middleware))


def _waygate(folder: Path) -> object:
    middleware = import_module("waygate.fastapi").WaygateMiddleware
    engine = import_module("waygate").WaygateEngine()
    return _serve_fastapi(lambda app: app.add_middleware(middleware, engine=engine))


def _serve_fastapi(extend: Callable[[Any], object]) -> object:
    app: Any = import_module("fastapi").FastAPI()
    app.add_api_route("/", lambda: "ok")
    kept = extend(app)
    statuses: list[int] = []

    async def serve() -> None:
        incoming = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> dict[str, Any]:
            return incoming.pop() if incoming else await asyncio.get_running_loop().create_future()

        async def send(message: dict[str, Any]) -> None:
            statuses.extend([message["status"]] if message["type"] == "http.response.start" else [])

        scope = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"", "headers": []}
        await app({**scope, "root_path": "", "http_version": "1.1", "scheme": "http"}, receive, send)

    asyncio.run(serve())
    return _checked(statuses[0], app, kept)


def _service(folder: Path, *, without: str) -> Any:
    """Return a running service that imports one adapter and no other plugin, as where only that is installed."""
    core = import_module("quiesce")
    settings = core.Settings(store_url=f"sqlite:///{folder}/memory.db", disabled_plugins=(without, "celery", "rq"))
    service = core.EnhancedMaintenanceModeService(settings)
    service.start()
    return service


def _checked(status: int, *kept: object) -> object:
    if status != 200:
        raise SystemExit(f"answered {status}")
    return kept


CONTENDERS = {
    "Flask": Contender(None, None, _flask),
    "Flask with Quiesce": Contender(None, "Flask", _flask_with_quiesce),
    "FastAPI": Contender(None, None, _fastapi),
    "FastAPI with Quiesce": Contender(None, "FastAPI", _fastapi_with_quiesce),
    "FastAPI with fastapi-maintenance": Contender("fastapi-maintenance", "FastAPI", _fastapi_maintenance),
    "FastAPI with waygate": Contender("waygate", "FastAPI", _waygate),
}


def resident_mib() -> float:
    """Return what of this process is in memory, the pages that it shares with others included."""
    for line in Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("the kernel does not say how much memory this process has")


def main(name: str, folder: str) -> None:
    """Serve one request, print the figure."""
    kept = CONTENDERS[name].serve(Path(folder))
    gc.collect()
    print(resident_mib() if kept else 0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
