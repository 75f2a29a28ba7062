"""Who is on the other side of a connection. docs/hl7.md"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from hl7_gateway.wire.tls import fingerprint

Network = IPv4Network | IPv6Network


def _nowhere(payload: bytes) -> None:
    raise ConnectionError("This peer has no connection.")


@dataclass(frozen=True, slots=True)
class Peer:
    """A sender: its address, and of its certificate the fingerprint (SHA-256) and the subject, "" without one.

    ``send`` writes a message to it at once, before what it sent earlier is answered: an accept acknowledgment.
    """

    address: str
    port: int
    certificate: str = ""
    subject: str = ""
    send: Callable[[bytes], None] = field(default=_nowhere, repr=False, compare=False)


def allowed(address: str, networks: Sequence[Network] | None) -> bool:
    """Whether an address is in one of the networks; every one is where none are given."""
    if not networks:
        return True
    found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return any(one in network for network in networks for one in (found, mapped) if one is not None)


def peer(transport: asyncio.BaseTransport, send: Callable[[bytes], None]) -> Peer:
    """The peer of a connection whose handshake is done."""
    # A connection that was reset at once has no address any more.
    address, port, *_ = transport.get_extra_info("peername") or ("", 0)
    secured: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    der = secured.getpeercert(binary_form=True) if secured is not None else None
    if secured is None or der is None:
        return Peer(address, port, send=send)
    named = (secured.getpeercert() or {}).get("subject", ())
    subject = ",".join(f"{pair[0]}={pair[1]}" for relative in named for pair in relative if isinstance(pair, tuple))
    return Peer(address, port, fingerprint(der), subject, send)
