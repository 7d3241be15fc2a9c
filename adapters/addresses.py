"""Where the server is reached, and from where it is asked."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from contextlib import suppress

Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
ELSEWHERE = "203.0.113.1"
"""An address of no machine (RFC 5737): the way there starts at the address that others see."""


def networks(proxies: Iterable[str]) -> Networks:
    """Addresses and networks as they are written. Raises ValueError."""
    return tuple(ipaddress.ip_network(network, strict=False) for network in proxies)


def network_of(host: str) -> str:
    """Whom an address stands for: itself, or in IPv6 its /64, of which one machine has every address."""
    with suppress(ValueError):
        address = ipaddress.ip_address(host.partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address):
            ipv4 = address.ipv4_mapped
            return str(ipv4 or ipaddress.ip_network((address, 64), strict=False).network_address)
    return host


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens at `host`."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def url_of(host: str, port: int) -> str:
    """An address that a browser can open, of what listens at `host`: of all addresses, the one that others see."""
    if host in ("0.0.0.0", "::", ""):
        host = _outward_address()
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _outward_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect((ELSEWHERE, 9))  # nothing is sent
        return str(probe.getsockname()[0])
    return "127.0.0.1"
