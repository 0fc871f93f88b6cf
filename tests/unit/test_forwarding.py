"""Whose address the audit trail names, and whose word about it counts."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network

import pytest

from quiesce.control import EnhancedMaintenanceModeService
from quiesce.model import Principal
from quiesce.web import PREFIX, ApiRequest, MaintenanceStatusAPI
from quiesce.web.forwarding import client_address, host_asked_for

TOKEN = "correct-horse-battery"
TRUSTED: tuple[IPv4Network | IPv6Network, ...] = (IPv4Network("10.0.0.0/8"), IPv6Network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.7", "", "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.7, 10.0.0.2", "203.0.113.7"),
        ("10.0.0.1", "10.0.0.3,10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("10.0.0.1", "203.0.113.7:4711", "203.0.113.7"),
        ("10.0.0.1", '"[2001:db8::7]:4711"', "2001:db8::7"),
        ("fd00::1", "2001:db8::7", "2001:db8::7"),
        ("::ffff:10.0.0.1", "::ffff:203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "203.0.113.7, unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.7,,", "10.0.0.1"),
        ("10.0.0.1", "<script>\x00", "10.0.0.1"),
        ("10.0.0.1", ",".join(["10.0.0.2"] * 100_000), "10.0.0.2"),
        (None, "203.0.113.7", None),
        ("", "203.0.113.7", None),
        ("testclient", "203.0.113.7", None),
    ],
)
def test_client_is_the_last_one_that_no_trusted_proxy_is(
    peer: str | None, forwarded: str, expected: str | None
) -> None:
    """Whoever connects from elsewhere may write into the headers what they like."""
    assert client_address(peer, {"x-forwarded-for": forwarded}, trusted=TRUSTED) == expected


@pytest.mark.parametrize(
    ("peer", "expected"), [("10.0.0.1", "shop.example"), ("203.0.113.7", "inner"), (None, "inner"), ("", "inner")]
)
def test_host_is_the_proxys_word_only_if_it_is_trusted(peer: str | None, expected: str) -> None:
    """Else a page elsewhere could name itself as the host, and command in an administrator's name."""
    headers = {"host": "inner", "x-forwarded-host": "made-up.example, shop.example"}

    assert host_asked_for(peer, headers, trusted=TRUSTED) == expected
    assert host_asked_for(peer, {"host": "inner"}, trusted=TRUSTED) == "inner"


def test_audit_trail_names_the_client(make_service: Callable[..., EnhancedMaintenanceModeService]) -> None:
    """The proxy's address would say of every command that it came from the same place."""
    service = make_service(admin_token=TOKEN, trusted_proxies=TRUSTED)
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json", "x-forwarded-for": "203.0.113.7"}
    api = MaintenanceStatusAPI(service)

    for peer, command, body in (("10.0.0.1", "enable", b'{"reason": "r"}'), ("198.51.100.1", "disable", b"{}")):
        path = f"{PREFIX}/{command}"
        answer = api.handle(ApiRequest(method="POST", path=path, headers=headers, body=body, peer=peer))
        assert answer.status == 200, answer.body

    assert {record.source for record in service.store.audit()} == {"http 203.0.113.7", "http 198.51.100.1"}


@pytest.mark.parametrize(("peer", "status"), [("10.0.0.1", 200), ("203.0.113.7", 403)])
def test_origin_is_compared_with_the_host_that_the_browser_asked_for(
    peer: str, status: int, make_service: Callable[..., EnhancedMaintenanceModeService]
) -> None:
    """A proxy that passes on its own name for the host must not lock the administrators out."""
    headers = {
        "content-type": "application/json",
        "host": "backend:8000",
        "x-forwarded-host": "shop.example",
        "origin": "https://shop.example",
    }
    request = ApiRequest(
        method="POST",
        path=f"{PREFIX}/enable",
        headers=headers,
        body=b'{"reason": "r"}',
        principal=Principal("ann", is_admin=True),
        peer=peer,
    )

    answer = MaintenanceStatusAPI(make_service(trusted_proxies=TRUSTED)).handle(request)

    assert answer.status == status, answer.body
