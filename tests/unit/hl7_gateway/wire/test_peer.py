"""Which addresses may connect. https://docs.python.org/3/library/ipaddress.html"""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hl7_gateway.wire.peer import Peer, allowed

LIST = [ip_network("10.1.0.0/16"), ip_network("192.0.2.7/32"), ip_network("2001:db8::/32")]


@pytest.mark.parametrize("address", ["10.1.2.3", "192.0.2.7", "2001:db8::1", "::ffff:10.1.2.3", "2001:db8::1%eth0"])
def test_on_the_list(address: str) -> None:
    assert allowed(address, LIST)


@pytest.mark.parametrize("address", ["10.2.0.1", "192.0.2.8", "2001:db9::1", "::ffff:10.2.0.1", "::a01:203"])
def test_not_on_the_list(address: str) -> None:
    assert not allowed(address, LIST)


@given(st.ip_addresses())
def test_without_a_list_everyone_and_with_a_network_its_own(address: object) -> None:
    assert allowed(str(address), None)
    assert allowed(str(address), [])
    assert allowed(str(address), [ip_network(str(address))])


def test_a_peer_without_a_connection_cannot_be_answered() -> None:
    with pytest.raises(ConnectionError):
        Peer("192.0.2.7", 1).send(b"")
