"""Which addresses are of the public internet."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce_webhook.addresses import is_public


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255"),
        *("192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1"),
        *("203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "100::1"),
        *("2001:db8::1", "2001::1", "::127.0.0.1", "::7f00:1", "64:ff9b:1::a00:1", "5f00::1", "4000::1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.1.2.3", "64:ff9b::169.254.169.254"),
        *("64:ff9b::10.0.0.1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:c0a8:101::1"),
        *("", "localhost", "127.1", "0x7f000001", "1.1.1.1 ", "1.1.1.1:80"),
    ],
)
def test_address_behind_the_front_door_is_not_public(address: str) -> None:
    """Each of these is a way to have us speak to what only we can reach."""
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("1.1.1.1", "93.184.215.14", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111", "2a00:1450:4001::200e"),
        *("::ffff:1.1.1.1", "64:ff9b::1.1.1.1", "2002:101:101::1"),
    ],
)
def test_address_of_the_internet_is_public(address: str) -> None:
    """A receiver must not need a setting to be reached."""
    assert is_public(address)


@given(address=st.ip_addresses(v=4))
def test_wrapping_an_address_does_not_change_the_answer(address: ipaddress.IPv4Address) -> None:
    """What IPv4 forbids, no way of writing it as IPv6 allows."""
    wrapped = (
        f"::ffff:{address}",
        f"64:ff9b::{address}",
        str(ipaddress.IPv6Address(0x2002 << 112 | int(address) << 80)),
    )

    assert {is_public(each) for each in wrapped} == {is_public(str(address))}
