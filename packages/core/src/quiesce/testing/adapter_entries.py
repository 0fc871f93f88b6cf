"""The part of an adapter's contract that is about entries: made first, ended when the last byte is out."""
# ruff: noqa: S101 - a contract is made of assertions

from __future__ import annotations

import pytest

from ..control import EnhancedMaintenanceModeService
from ..model import Mode
from .adapter_client import NO_HEADERS, AdapterBase, Users, as_user
from .waiting import eventually

ENDS = (
    *(("GET", "/items"), ("HEAD", "/items"), ("POST", "/items"), ("PUT", "/items"), ("OPTIONS", "/items")),
    *(("GET", "/nowhere"), ("GET", "/boom"), ("POST", "/boom"), ("GET", "/stream"), ("HEAD", "/stream")),
    *(("GET", "/guarded"), ("GET", "/api/maintenance/status"), ("POST", "/api/maintenance/enable")),
)


class EntryContract(AdapterBase):
    """Only when entries are true is an acknowledgement that reads "none in flight" true."""

    @pytest.mark.parametrize("mode", [None, *Mode])
    def test_nothing_is_left_in_flight(self, service: EnhancedMaintenanceModeService, mode: Mode | None) -> None:
        """One entry that stays keeps the system from ever being quiet."""
        client = self.client(service=service, identify=Users("ann").identify)
        if mode is not None:
            service.enable(reason="upgrade", mode=mode, actor="ops")

        for method, path in ENDS:
            for headers in (NO_HEADERS, as_user("ann"), as_user("bob")):
                client.request(method, path, headers=headers)
                eventually(lambda: not service.gate.in_flight)

    @pytest.mark.parametrize("headers", [NO_HEADERS, as_user("ann")])
    @pytest.mark.parametrize("mode", [None, Mode.NORMAL])
    def test_a_stream_is_in_flight_to_its_last_piece(
        self, service: EnhancedMaintenanceModeService, mode: Mode | None, headers: dict[str, str]
    ) -> None:
        """A body that is still being made still reads and writes, long after the view returned."""
        client = self.client(service=service, identify=Users("ann").identify)
        if mode is not None:
            service.enable(reason="upgrade", mode=mode, actor="ops")

        assert client.request("GET", "/stream", headers=headers).body == b"111"
        eventually(lambda: not service.gate.in_flight)

    @pytest.mark.parametrize("mode", [None, Mode.NORMAL])
    def test_a_client_that_goes_away_leaves_nothing_behind(
        self, service: EnhancedMaintenanceModeService, mode: Mode | None
    ) -> None:
        """Phones lose their connection all the time."""
        client = self.client(service=service)
        if mode is not None:
            service.enable(reason="upgrade", mode=mode, actor="ops")

        assert client.abandon("GET", "/stream") == b"1"
        eventually(lambda: not service.gate.in_flight)

    def test_an_entry_of_an_admin_is_marked(self, service: EnhancedMaintenanceModeService) -> None:
        """Protocol rule 5: who passes on purpose is shown, and not waited for."""
        client = self.client(service=service, identify=Users("ann").identify)
        service.enable(reason="upgrade", actor="ops")

        assert client.request("POST", "/stream", headers=as_user("ann")).body == b"111"
        assert service.gate.acknowledge().bypassing == 0

    def test_the_first_request_registers_the_worker(self, service: EnhancedMaintenanceModeService) -> None:
        """Protocol rule 4: a process that serves and is not listed would be left out of the proof."""
        client = self.client(service=service)
        client.request("GET", "/items")

        (report,) = service.store.workers()

        assert report.worker.framework == self.framework
