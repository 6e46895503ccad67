"""The address that a request came from, behind proxies that the operator trusts."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network


def of(host: str, forwarded: str, trusted: Sequence[Network]) -> str:
    """What counts as one peer: an IPv4 address, or an IPv6 network of 64 bits (RFC 4291).

    `host` is the socket's address, `forwarded` the X-Forwarded-For header, to which each proxy
    appends whom it heard from. It is read from its end, and only as far as every hop before was
    trusted; where no proxy is trusted, not at all: anyone can send the header.
    """
    hops = [host, *(hop.strip() for hop in reversed(forwarded.split(",")))]
    nearest = _address(host)
    for hop in hops:
        address = _address(hop)
        if address is None:
            break
        nearest = address
        if not any(address in network for network in trusted):
            break
    return host if nearest is None else _one_peer(nearest)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def _one_peer(address: IPv4Address | IPv6Address) -> str:
    if isinstance(address, IPv6Address):
        return str(ip_network((int(address) >> 64 << 64, 64)))
    return str(address)
