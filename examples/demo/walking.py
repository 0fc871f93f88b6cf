"""Asking real applications, printing question and answer, and stopping at the first surprise."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from servers import PLAIN, Demo, Shop

QUIESCE = str(Path(sys.executable).with_name("quiesce"))


class Walk:
    """Asks, prints, and stops at the first surprise."""

    def __init__(self, demo: Demo) -> None:
        self.demo = demo
        self.visitor = httpx.Client(timeout=20, verify=PLAIN)
        self.admins = {shop: self._signed_in(shop, "root") for shop in demo.shops}
        self.users = {shop: self._signed_in(shop, "bob") for shop in demo.shops}

    def title(self, text: str) -> None:
        """Begin a part."""
        print(f"\n== {text}")

    def expect(self, question: str, answer: object, expected: object) -> None:
        """Print an answer; stop if it is not the expected one."""
        print(f"   {question:<64} {answer}")
        if answer != expected:
            raise SystemExit(f"SURPRISE: expected {expected}")

    def expect_soon(self, question: str, ask: Callable[[], object], expected: object) -> None:
        """Ask until the expected answer comes, for half a minute at most."""
        deadline = time.monotonic() + 30
        while (answer := ask()) != expected and time.monotonic() < deadline:
            time.sleep(0.1)
        self.expect(question, answer, expected)

    def quiesce(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """Run the command line as an operator would; return its exit code and what it says."""
        print(f"   $ quiesce {' '.join(arguments)}")
        done = subprocess.run(
            [QUIESCE, *arguments, "--json"],
            env=self.demo.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in {0, 3, 5}:
            raise SystemExit(f"SURPRISE: exit code {done.returncode}: {done.stderr}")
        return done.returncode, json.loads(done.stdout or "{}")

    def everywhere(self, question: str, method: str, path: str, expected: int, **clients: object) -> None:
        """Ask every application often enough that each of its workers answers."""
        for shop in self.demo.shops:
            answers = {self._client(shop, clients).request(method, shop.url + path).status_code for _ in range(12)}
            self.expect(f"{shop.name}: {question}", _only(answers), expected)

    def seen_as(self, question: str, clients: dict[Shop, httpx.Client], expected: str) -> None:
        """Ask every worker for whom it takes the client of each application."""
        for shop in self.demo.shops:
            answers = {clients[shop].get(f"{shop.url}/me").json() for _ in range(12)}
            self.expect(f"{shop.name}: {question}", _only(answers), expected)

    def log_in(self, question: str, clients: dict[Shop, httpx.Client], user: str, expected: int) -> None:
        """Log in at each application."""
        for shop in self.demo.shops:
            answer = clients[shop].post(f"{shop.url}/login", data={"user": user})
            self.expect(f"{shop.name}: {question}", answer.status_code, expected)

    def _client(self, shop: Shop, clients: dict[str, object]) -> httpx.Client:
        who = clients.get("who")
        return {"admin": self.admins[shop], "user": self.users[shop]}.get(str(who), self.visitor)

    def _signed_in(self, shop: Shop, user: str) -> httpx.Client:
        client = httpx.Client(timeout=20, verify=PLAIN)
        client.post(f"{shop.url}/login", data={"user": user}).raise_for_status()
        return client


def _only(answers: set[Any]) -> object:
    return next(iter(answers)) if len(answers) == 1 else sorted(answers)
