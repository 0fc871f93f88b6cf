"""The application that the how-to on sessions shows keeps the table below it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import pytest


@pytest.mark.parametrize(
    ("policy", "during", "afterwards"),
    [("revoke", None, None), ("suspend", None, "bob"), ("keep", "bob", "bob")],
)
def test_sessions_end_as_the_table_says(
    blocks: Mapping[str, Any], run: Any, policy: str, during: str | None, afterwards: str | None
) -> None:
    """Whoever copies it must get what the table promises."""
    names = run(blocks["docs/how-to/sessions-fastapi.md"][0])
    service = names["service"]

    def browser() -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(app=names["app"]), base_url="http://shop")

    async def live() -> list[Any]:
        async with browser() as bob, browser() as ann, browser() as eve:
            seen: list[Any] = []
            for client, user in ((bob, "bob"), (ann, "ann")):
                await client.post("/login", params={"user": user})
            service.enable(reason="upgrade", sessions=policy, actor="test")
            seen += [(await client.get("/me")).json() for client in (bob, ann)]
            seen.append((await eve.post("/login", params={"user": "eve"})).status_code)
            service.disable(actor="test")
            return [*seen, (await bob.get("/me")).json()]

    assert asyncio.run(live()) == [during, "ann", 503, afterwards]
