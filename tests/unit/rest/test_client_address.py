"""https://www.rfc-editor.org/rfc/rfc7239#section-5.2"""

from __future__ import annotations

import pytest

from fhir_server.rest.client_address import Proxies, network_of

TRUSTED = "10.0.0.0/8,2001:db8::/32"


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("10.1.1.1", "198.51.100.7", "198.51.100.7"),
        ("10.1.1.1", "198.51.100.7, 10.2.2.2", "198.51.100.7"),
        ("10.1.1.1", "[2001:4860::1]:443, 2001:db8::5", "2001:4860::1"),
        ("10.1.1.1", "198.51.100.7:51000", "198.51.100.7"),
        ("::ffff:10.1.1.1", "198.51.100.7", "198.51.100.7"),
        # What the client wrote itself stands before what the proxy adds.
        ("10.1.1.1", "203.0.113.1, 198.51.100.7", "198.51.100.7"),
        ("10.1.1.1", "10.9.9.9, 198.51.100.7, 10.2.2.2", "198.51.100.7"),
        # Nobody but a proxy is believed.
        ("198.51.100.7", "203.0.113.1", "198.51.100.7"),
        ("198.51.100.7", "10.1.1.1", "198.51.100.7"),
        # Nothing that could be believed.
        ("10.1.1.1", "", "10.1.1.1"),
        ("10.1.1.1", "unknown", "10.1.1.1"),
        ("10.1.1.1", "203.0.113.1, <script>, 10.2.2.2", "10.2.2.2"),
        ("", "203.0.113.1", ""),
        ("10.1.1.1", "10.2.2.2, 10.3.3.3", "10.2.2.2"),
    ],
)
def test_whose_word_counts(peer: str, forwarded: str, found: str) -> None:
    environ = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded}
    Proxies(TRUSTED).settle(environ)
    assert environ["REMOTE_ADDR"] == found


def test_without_proxies_the_peer_is_the_client() -> None:
    environ = {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "203.0.113.1"}
    Proxies("").settle(environ)
    assert environ["REMOTE_ADDR"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("name", "network"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("2001:4860:0:1:aaaa::1", "2001:4860:0:1::/64"),
        ("2001:4860:0:1:bbbb::2", "2001:4860:0:1::/64"),
        ("", ""),
        ("x" * 100, "x" * 64),
    ],
)
def test_what_counts_as_one_place(name: str, network: str) -> None:
    assert network_of(name) == network
