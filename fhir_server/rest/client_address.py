"""Which network address a request is from, behind proxies as well. https://www.rfc-editor.org/rfc/rfc7239#section-5.2"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

_LONGEST = 64


class Proxies:
    """The proxies of TRUSTED_PROXIES, networks with commas between: what they say of whom they ask for is believed."""

    def __init__(self, trusted: str) -> None:
        self._networks = [ip_network(one.strip()) for one in trusted.split(",") if one.strip()]
        self._trusted = lru_cache(1024)(self._is_trusted)

    def settle(self, environ: dict[str, Any]) -> None:
        """Make REMOTE_ADDR the client's: the last that a trusted proxy names and that is none itself.

        Whatever stands before that one is the client's own word. A header without such an address changes nothing.
        """
        if not self._networks or not self._trusted(environ.get("REMOTE_ADDR", "")):
            return
        for name in reversed(environ.get("HTTP_X_FORWARDED_FOR", "").split(",")):
            address = _address(name)
            if address is None:
                return
            environ["REMOTE_ADDR"] = str(address)
            if not self._trusted(str(address)):
                return

    def _is_trusted(self, name: str) -> bool:
        address = _address(name)
        return address is not None and any(address in network for network in self._networks)


def network_of(name: str) -> str:
    """What counts as one place: an address, or 2^64 of them where it is IPv6, which every customer has.

    https://www.rfc-editor.org/rfc/rfc6177
    """
    address = _address(name)
    if address is None:
        return name[:_LONGEST]
    return str(IPv6Network((int(address), 64), strict=False)) if address.version == 6 else str(address)


def _address(name: str) -> IPv4Address | IPv6Address | None:
    """An address as proxies write it, some with its port; IPv4 in IPv6's clothes is IPv4."""
    text = name.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
