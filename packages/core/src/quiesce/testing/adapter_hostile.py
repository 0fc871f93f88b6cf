"""The part of an adapter's contract that is about requests which no honest client sends."""
# ruff: noqa: S101 - a contract is made of assertions

from __future__ import annotations

import pytest

from ..control import EnhancedMaintenanceModeService
from .adapter_client import AdapterBase
from .waiting import eventually

SPELLINGS = (
    *("//api/jobs", "/api//jobs", "///api///jobs", "/api/jobs/", "/API/Jobs", "/api/jobs//"),
    *("/./api/jobs", "/x/../api/jobs", "/api/x/../jobs", "/../api/jobs", "/api/jobs/.", "/api/jobs/x/.."),
    *("/%61pi/jobs", "/api/%6aobs", "/api%2fjobs", "/api%2Fjobs", "/api/%2e/jobs", "/x/%2e%2e/api/jobs"),
    *("/%2561pi/jobs", "/api%252fjobs", "/x/%252e%252e/api/jobs", "/api%5cjobs", "/api\\jobs", "/x/..%5capi/jobs"),
    *("/api/jobs%00", "/api/jobs%0a", "/api/%00jobs", "/api/jobs;x=1", "/api/jobs%20", "/api/jobs?x=/health"),
    *("/health/../api/jobs", "/health/%2e%2e/api/jobs", "/health%2f..%2fapi/jobs", "/static/../api/jobs"),
    *("/static/%2e%2e/api/jobs", "/static//../api/jobs", "/robots.txt/../api/jobs", "/health;/../api/jobs"),
    *("/api/maintenance/../jobs", "/api/maintenance/%2e%2e/jobs", "/api/maintenance/status/../../jobs"),
)
STRANGE = (
    *("/%ff%fe", "/%c3%28", "/%ed%a0%80", "/%f0%9f%92%a9", "/%e2%80%ae", "/caf%c3%a9/%e2%98%83", "/%", "/%zz"),
    *("/" + "a" * 8000, "/" + "%2e%2e/" * 1000, "/" + "/" * 8000, "/" + "%ff" * 2000, "/?" + "x=%ff&" * 500),
)
LIES = (
    {"Host": "evil.example"},
    {"X-Forwarded-Host": "localhost", "X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1"},
    {"X-Forwarded-Prefix": "/health", "X-Script-Name": "/health"},
    {"X-Original-URL": "/health", "X-Rewrite-URL": "/health"},
    {"X-HTTP-Method-Override": "GET", "X-Method-Override": "GET"},
    {"Cookie": "user=" + "a" * 7000},
    {"Cookie": "\xff\xfe; user; =; user=\x80"},
    {"Authorization": "\xff Bearer"},
    {"Accept": "text/html" + ",x" * 3000},
)


class HostileContract(AdapterBase):
    """No spelling and no header opens what is closed, or makes the adapter fail."""

    def test_no_spelling_slips_a_blocked_path_through(self, service: EnhancedMaintenanceModeService) -> None:
        """The gate and the application must not read one path in two ways."""
        client = self.client(service=service)
        service.enable(reason="upgrade", actor="ops")

        written = {path for path in SPELLINGS if client.request("POST", path).status != 503}
        read = {path for path in SPELLINGS if client.request("GET", path).body == b"jobs"}

        assert (written, read) == (set(), set())

    def test_a_strange_path_is_answered(self, service: EnhancedMaintenanceModeService) -> None:
        """A path that breaks the adapter breaks the application for whoever follows."""
        client = self.client(service=service)

        before = {path: client.request("GET", path).status for path in STRANGE}
        service.enable(reason="upgrade", actor="ops")
        during = {path: client.request("GET", path).status for path in STRANGE}
        written = {path: client.request("POST", path).status for path in STRANGE}

        assert {path: status for path, status in before.items() if not 300 <= status < 500} == {}
        assert during == before
        assert set(written.values()) == {503}
        eventually(lambda: not service.gate.in_flight)

    @pytest.mark.parametrize("headers", LIES, ids=lambda headers: next(iter(headers)))
    def test_no_header_opens_what_is_closed(
        self, service: EnhancedMaintenanceModeService, headers: dict[str, str]
    ) -> None:
        """Whoever can send a request can send any header with it."""
        client = self.client(service=service, identify=lambda _request: None)
        service.enable(reason="upgrade", actor="ops")

        assert client.request("POST", "/items", headers=headers).status == 503
        assert client.request("GET", "/api/jobs", headers=headers).status == 503
        assert client.request("GET", "/items", headers=headers).status == 200
        eventually(lambda: not service.gate.in_flight)
