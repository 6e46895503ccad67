"""A18: whose address a request counts for."""

from ipaddress import ip_network

import pytest

from app.security import peers

PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


@pytest.mark.parametrize("forwarded", ["", "1.1.1.1", "1.1.1.1, 2.2.2.2", "127.0.0.1", "x" * 1000])
def test_a18_nobody_is_believed_where_no_proxy_is_trusted(forwarded: str) -> None:
    assert peers.of("203.0.113.7", forwarded, []) == "203.0.113.7"
    assert peers.of("203.0.113.7", forwarded, PROXIES) == "203.0.113.7"


@pytest.mark.parametrize(
    ("forwarded", "peer"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("1.1.1.1, 203.0.113.7", "203.0.113.7"),  # what the client claimed comes before
        ("203.0.113.7, 10.9.9.9", "203.0.113.7"),  # a second proxy
        ("203.0.113.7, unknown, 10.9.9.9", "10.9.9.9"),  # no further than can be read
        ("", "10.1.2.3"),
        ("10.7.7.7", "10.7.7.7"),  # a client inside
        ("::ffff:203.0.113.7", "203.0.113.7"),
    ],
)
def test_a18_a_trusted_proxy_is_believed_as_far_as_it_saw(forwarded: str, peer: str) -> None:
    assert peers.of("10.1.2.3", forwarded, PROXIES) == peer


def test_an_ipv6_peer_is_its_network() -> None:
    one, other = (peers.of(f"2001:db8:1:2::{n}", "", []) for n in (1, 2))
    assert one == other == "2001:db8:1:2::/64"
    assert peers.of("2001:db8:1:3::1", "", []) != one


def test_a_socket_without_an_address_is_a_peer_too() -> None:
    assert peers.of("", "1.1.1.1", PROXIES) == ""
