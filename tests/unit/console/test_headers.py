"""The security headers of pages, and what of an app's URL may stand in them."""

from __future__ import annotations

import pytest

from fhir_server.console.headers import form_target, page_headers


def policy(**values: object) -> dict[str, str]:
    text = dict(page_headers(**({"https": True} | values)))["Content-Security-Policy"]  # type: ignore[arg-type]
    return {part.split()[0]: " ".join(part.split()[1:]) for part in text.split(";")}


def test_nothing_is_allowed_but_our_own_files() -> None:
    assert policy() == {
        "default-src": "'none'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "script-src": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
        "form-action": "'self'",
    }


def test_forms_may_lead_back_to_the_app() -> None:
    assert policy(form_targets=["https://app.example.org"])["form-action"] == "'self' https://app.example.org"


def test_transport_security_only_where_there_is_tls() -> None:
    assert "Strict-Transport-Security" in dict(page_headers(https=True))
    assert "Strict-Transport-Security" not in dict(page_headers(https=False))


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("https://app.example.org/back?x=1", "https://app.example.org"),
        ("https://app.example.org:8443/back", "https://app.example.org:8443"),
        ("http://127.0.0.1:3000/", "http://127.0.0.1:3000"),
        ("http://[::1]:3000/", "http://[::1]:3000"),
        ("org.example.app:/back", "org.example.app:"),
        ("https://user:secret@app.example.org/", "https://app.example.org"),
        ("javascript:alert(1)", ""),
        ("data:text/html,x", ""),
        ("https://a.example; script-src *", ""),
        ("https://a.example 'unsafe-inline'/", ""),
        ("https://a.example:99999/", ""),
        ("https:///nowhere", ""),
        ("nothing", ""),
        ("", ""),
    ],
)
def test_form_target(url: str, source: str) -> None:
    assert form_target(url) == source
