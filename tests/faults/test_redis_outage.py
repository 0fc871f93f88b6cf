"""Redis dies and comes back, empty, in the middle of a window."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from quiesce import EnhancedMaintenanceModeService, StoreUnreachableError
from quiesce.testing import eventually


@pytest.mark.parametrize("kind", ["flask", "fastapi"])
def test_workers_keep_refusing_without_redis_and_recover_by_themselves(
    kind: str,
    redis_server: Any,
    serve: Callable[..., str],
    operate: Callable[[str], EnhancedMaintenanceModeService],
    all_workers: Callable[[str, EnhancedMaintenanceModeService, int], set[int]],
) -> None:
    """The worst hour is no time for the store to open what an operator has closed."""
    url, service = serve(kind, redis_server.url), operate(redis_server.url)
    all_workers(url, service, 2)
    window = service.enable(reason="work", actor="ann")
    assert service.wait_until_quiesced(timeout=timedelta(seconds=30), expected_workers=2).quiesced

    redis_server.kill()

    eventually(lambda: httpx.get(f"{url}/api/maintenance/status").json()["is_stale"])
    with pytest.raises(StoreUnreachableError):
        service.quiescence()
    statuses = [(httpx.post(f"{url}/items").status_code, httpx.get(f"{url}/items").status_code) for _ in range(40)]
    assert set(statuses) == {(503, 200)}
    assert httpx.post(f"{url}/items", cookies={"user": "root"}).status_code == 201

    redis_server.start()

    eventually(lambda: [each.id for each in service.store.load().windows] == [window.id])
    assert {httpx.post(f"{url}/items").status_code for _ in range(20)} == {503}
    report = service.wait_until_quiesced(timeout=timedelta(seconds=30), expected_workers=2)
    assert report.quiesced, report.obstacles
    eventually(lambda: not httpx.get(f"{url}/api/maintenance/status").json()["is_stale"])

    service.disable(actor="ann")

    eventually(lambda: httpx.post(f"{url}/items").status_code == 201)
