"""Every block of Python in the documents runs, and what the pages promise of the applications in them is so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest

Ask = Callable[[str | None], int]


def ask_flask(app: Any) -> Ask:
    def ask(user: str | None) -> int:
        client = app.test_client()
        if user is not None:
            client.set_cookie("user", user)
        return int(client.post("/orders").status_code)

    return ask


def ask_fastapi(app: Any) -> Ask:
    async def post(user: str | None) -> int:
        transport = httpx.ASGITransport(app=app)
        cookies = {} if user is None else {"user": user}
        async with httpx.AsyncClient(transport=transport, base_url="http://shop", cookies=cookies) as client:
            return (await client.post("/orders")).status_code

    return lambda user: asyncio.run(post(user))


def test_block_runs(python_block: Any, run: Any) -> None:
    """What a reader copies must work; a block that raises, or asserts what is not so, is found here."""
    run(python_block)


@pytest.mark.parametrize(("framework", "asker"), [("flask", ask_flask), ("fastapi", ask_fastapi)])
def test_readme_application_keeps_the_promise(
    framework: str, asker: Callable[[Any], Ask], blocks: Mapping[str, Any], run: Any
) -> None:
    """The first code that a newcomer sees: writes are refused, the admin passes, and all is over afterwards."""
    (block,) = [b for b in blocks["README.md"] if b.language == "python" and f"quiesce_{framework}" in b.text]
    names = run(block)
    service, ask = names["service"], asker(names["app"])

    before = ask(None)
    service.enable(reason="Database upgrade", actor="test")
    during = ask(None), ask("bob"), ask("root")
    service.disable(actor="test")
    after = ask(None)

    assert (before, during, after) == (200, (503, 503, 200), 200)


def test_service_of_the_core_readme_refuses_the_guarded(
    blocks: Mapping[str, Any], run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The block swallows the refusal on purpose; it must have been one."""
    (block,) = [b for b in blocks["packages/core/README.md"] if b.language == "python"]

    run(block)

    assert capsys.readouterr().out == "operation 'job_creation' is refused during maintenance\n"
