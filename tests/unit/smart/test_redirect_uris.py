"""Where people may be sent back to. https://www.rfc-editor.org/rfc/rfc9700#section-2.1"""

from __future__ import annotations

import pytest

from fhir_server.smart import redirect_uris


@pytest.mark.parametrize(
    "uri",
    [
        "https://app.example.org/callback",
        "https://app.example.org:8443/callback?from=ehr",
        "http://localhost:3000/",
        "http://127.0.0.1/callback",
        "http://[::1]:9000/callback",
        "org.example.app:/callback",
        "org.example.app://callback",
    ],
)
def test_these_may_be_registered(uri: str) -> None:
    assert redirect_uris.problem(uri) == ""


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("http://app.example.org/callback", "must be https"),
        ("https://app.example.org/#fragment", "fragment"),
        ("https://app.example.org/#", "fragment"),
        ("https://somebody@app.example.org/", "user name"),
        ("javascript:alert(1)", "must be https"),
        ("data:text/html,hello", "must be https"),
        ("file:///etc/passwd", "must be https"),
        ("/callback", "absolute"),
        ("https:///callback", "host"),
        ("https://app.example.org/a b", "printable"),
        ("https://app.example.org/\r\nSet-Cookie:a=b", "printable"),
        ("https://app.example.org:port/", "absolute"),
        ("https://app.example.org/" + "a" * 2000, "2,000"),
        ("https://äpp.example.org/", "printable"),
        ("", "absolute"),
    ],
)
def test_these_may_not(uri: str, why: str) -> None:
    assert why in redirect_uris.problem(uri)


KNOWN = ("https://app.example.org/callback", "http://127.0.0.1:3000/callback", "http://localhost:3000/callback")


@pytest.mark.parametrize("uri", [*KNOWN, "http://127.0.0.1:51234/callback", "http://127.0.0.1/callback"])
def test_registered(uri: str) -> None:
    assert redirect_uris.registered(uri, KNOWN)


@pytest.mark.parametrize(
    "uri",
    [
        "https://app.example.org/callback/",
        "https://app.example.org/callback?a=b",
        "https://app.example.org:443/callback",
        "https://app.example.org.evil.example/callback",
        "https://app.example.org@evil.example/callback",
        "https://APP.example.org/callback",
        "http://app.example.org/callback",
        "http://127.0.0.1:3000/other",
        "http://somebody@127.0.0.1:3000/callback",
        "http://localhost:3001/callback",
        "http://127.0.0.1.evil.example:3000/callback",
        "https://app.example.org/callback#",
        "https://app.example.org/x/../callback",
        "https://app.example.org/callback\\@evil.example",
        "",
    ],
)
def test_not_registered(uri: str) -> None:
    assert not redirect_uris.registered(uri, KNOWN)
