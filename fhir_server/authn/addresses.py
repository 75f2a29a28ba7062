"""Which network addresses the server may call when somebody else named the host.

https://www.iana.org/assignments/iana-ipv4-special-registry and https://www.iana.org/assignments/iana-ipv6-special-registry
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# The tables are written out instead of asking ipaddress.is_global: what that says differs between releases of Python.
_PRIVATE = (
    "10.0.0.0/8",
    "100.64.0.0/10",  # between a provider and its customers
    "127.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "::1/128",
    "fc00::/7",
)
_NEVER_PUBLIC = (
    "0.0.0.0/8",
    "168.63.129.16/32",  # Azure's services to its machines, at an address that looks public
    "169.254.0.0/16",  # link-local: where clouds keep their machines' credentials
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",  # multicast, reserved and broadcast
    "2001::/23",  # Teredo, benchmarking, ORCHID
    "2001:db8::/32",
    "2002::/16",  # 6to4, which holds an IPv4 address that would go unchecked
    "2620:4f:8000::/48",
    "3fff::/20",
    "5f00::/16",
)
_PUBLIC_IPV6 = IPv6Network("2000::/3")
"""All that is given out to the public; mapped, translated (NAT64) and link-local addresses lie outside."""

_PRIVATE_NETWORKS: tuple[Network, ...] = tuple(map(ip_network, _PRIVATE))
_NEVER_PUBLIC_NETWORKS: tuple[Network, ...] = tuple(map(ip_network, _NEVER_PUBLIC))


@dataclass(frozen=True, slots=True)
class Allowed:
    """What may be called though it is not public: OUTBOUND_ALLOW, taken apart.

    A host by name may have private and loopback addresses, as servers in a clinic's own network do; link-local and
    reserved ones need a network that holds them.
    """

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    def explicitly(self, host: str, address: Address) -> bool:
        """Whether the setting names ``host`` or a network around ``address``."""
        if any(address in network for network in self.networks):
            return True
        return host in self.hosts and any(address in network for network in _PRIVATE_NETWORKS)


def read_allowed(setting: str) -> Allowed:
    """OUTBOUND_ALLOW taken apart; settings.py has refused what is neither a host nor a network."""
    hosts, networks = set(), []
    for entry in filter(None, setting.split(",")):
        try:
            networks.append(ip_network(entry))
        except ValueError:
            hosts.add(entry)
    return Allowed(frozenset(hosts), tuple(networks))


def public(address: Address) -> bool:
    """Whether anybody on the Internet could call ``address``. https://www.rfc-editor.org/rfc/rfc6890"""
    if isinstance(address, IPv6Address) and address not in _PUBLIC_IPV6:
        return False
    return not any(address in network for network in (*_PRIVATE_NETWORKS, *_NEVER_PUBLIC_NETWORKS))


def parse(text: str) -> Address:
    """The address that the resolver wrote, without the zone of a link-local one."""
    return ip_address(text.partition("%")[0])
