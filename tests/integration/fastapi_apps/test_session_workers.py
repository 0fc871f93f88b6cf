"""Sessions with several uvicorn workers on one store, commanded from another process."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from quiesce.testing import eventually

pytestmark = pytest.mark.slow


class Browser:
    """One cookie jar, and a connection to each of the two workers."""

    def __init__(self, url: str, opened: ExitStack) -> None:
        self._cookies = httpx.Cookies()
        self._clients: dict[int, httpx.Client] = {}

        def reach_both() -> bool:
            client = opened.enter_context(httpx.Client(base_url=url, timeout=20, cookies=self._cookies))
            self._clients.setdefault(client.get("/pid").json(), client)
            return len(self._clients) == 2

        eventually(reach_both, within=30)

    def everywhere(self, method: str, path: str, **params: str) -> list[tuple[int, Any]]:
        """Return status and body from each worker; what one sets as a cookie, the next one gets."""
        answers = []
        for client in self._clients.values():
            client.cookies = self._cookies
            answer = client.request(method, path, params=params)
            self._cookies = client.cookies
            answers.append((answer.status_code, answer.json()))
        return answers

    def log_in(self, user: str) -> list[int]:
        """Return the status from each worker."""
        return [status for status, _ in self.everywhere("POST", "/login", user=user)]

    def who(self) -> set[Any]:
        """Return who this is, as the workers say."""
        return {user for _, user in self.everywhere("GET", "/me")}


def test_a_window_in_the_life_of_two_workers(tmp_path: Path, start_process: Any, make_service: Any) -> None:
    """Logged out, kept out, admins in, back in afterwards, whichever worker answers."""
    admins = tmp_path / "admins"
    admins.write_text("ann root\n")
    store = f"sqlite:///{tmp_path}/m.db"
    shop = start_process("session_shop:build", workers=2, MAINTENANCE_STORE_URL=store, ADMINS=str(admins))
    operator = make_service(store_url=store)
    eventually(lambda: len(operator.store.workers()) == 2, within=90)
    with ExitStack() as opened:
        bob, eve, ann, root = (Browser(shop.url, opened) for _ in range(4))
        assert [bob.log_in("bob"), eve.log_in("eve"), ann.log_in("ann")] == [[200, 200]] * 3

        operator.enable(reason="upgrade", sessions="suspend", actor="ops")
        assert (bob.who(), ann.who(), bob.log_in("bob")) == ({None}, {"ann"}, [503, 503])
        operator.disable(actor="ops")
        assert (bob.who(), ann.who()) == ({"bob"}, {"ann"})

        operator.enable(reason="upgrade", actor="ops")
        assert (bob.who(), eve.who(), ann.who()) == ({None}, {None}, {"ann"})
        assert (bob.log_in("bob"), root.log_in("root"), root.who()) == ([503, 503], [200, 200], {"root"})
        admins.write_text("root\n")
        assert ann.who() == {None}
        operator.disable(actor="ops")

        assert (bob.who(), root.who()) == ({None}, {"root"})
        assert (bob.log_in("bob"), bob.who(), bob.who()) == ([200, 200], {"bob"}, {"bob"})
