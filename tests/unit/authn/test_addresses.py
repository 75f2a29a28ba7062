"""Addresses that may be called. https://www.iana.org/assignments/iana-ipv6-special-registry"""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.authn import addresses
from fhir_server.authn.addresses import Allowed, read_allowed


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0",  # noqa: S104
        "10.1.2.3",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:8.8.8.8",
        "::ffff:0:10.0.0.1",
        "64:ff9b::a00:1",
        "64:ff9b:1::a00:1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:a00:1::1",
        "3fff::1",
        "fc00::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ],
)
def test_what_is_not_public_is_not_called(text: str) -> None:
    assert not addresses.public(addresses.parse(text))


@pytest.mark.parametrize("text", ["8.8.8.8", "172.32.0.1", "100.128.0.1", "192.1.0.1", "2606:4700::1111", "2a00::1"])
def test_what_is_public_is_called(text: str) -> None:
    assert addresses.public(addresses.parse(text))


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_nothing_is_public_that_the_standard_library_calls_otherwise(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if addresses.public(address):
        assert address.is_global
        assert not address.is_multicast
        assert not address.is_reserved


def test_the_zone_of_a_link_local_address_is_no_part_of_it() -> None:
    assert not addresses.public(addresses.parse("fe80::1%eth0"))


def test_a_named_network_is_all_that_it_opens() -> None:
    allowed = read_allowed("10.2.0.0/16,fd12::/16")
    assert allowed.explicitly("anything", addresses.parse("10.2.3.4"))
    assert allowed.explicitly("anything", addresses.parse("fd12::1"))
    assert not allowed.explicitly("anything", addresses.parse("10.3.0.1"))
    assert not allowed.explicitly("anything", addresses.parse("::ffff:10.2.3.4"))


def test_a_named_host_may_be_private_but_not_where_clouds_keep_credentials() -> None:
    allowed = read_allowed("idp.clinic.example")
    for private in ("10.1.2.3", "127.0.0.1", "fd00::1", "100.64.0.1"):
        assert allowed.explicitly("idp.clinic.example", addresses.parse(private))
        assert not allowed.explicitly("clinic.example", addresses.parse(private))
    for never in ("169.254.169.254", "fe80::1", "0.0.0.0", "::ffff:10.1.2.3"):  # noqa: S104
        assert not allowed.explicitly("idp.clinic.example", addresses.parse(never))


def test_nothing_is_allowed_without_a_setting() -> None:
    assert read_allowed("") == Allowed()
