"""Forms of ours, and forms of others."""

from __future__ import annotations

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from fhir_server.console.forgery import FIELD, form_token, genuine

COOKIE = "c" * 43
OURS = frozenset(("https://fhir.example.org", "https://riverside.fhir.example.org"))


def post(token: str, **headers: str) -> Request:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(EnvironBuilder(method="POST", data={FIELD: token}, headers=sent).get_environ())


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://fhir.example.org"},
        {"Origin": "https://riverside.fhir.example.org", "Sec_Fetch_Site": "same-origin"},
        {"Origin": "null", "Sec_Fetch_Site": "same-origin"},
    ],
)
def test_our_own_form_is_taken(headers: dict[str, str]) -> None:
    assert genuine(post(form_token(COOKIE), **headers), COOKIE, OURS)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example.org"},
        {"Origin": "http://fhir.example.org"},
        {"Origin": "https://fhir.example.org.evil.example"},
        {"Origin": "null", "Sec_Fetch_Site": "cross-site"},
        {"Origin": "null", "Sec_Fetch_Site": "same-site"},
        {"Origin": "https://hillside.fhir.example.org", "Sec_Fetch_Site": "same-site"},
    ],
)
def test_a_form_of_another_site_is_not(headers: dict[str, str]) -> None:
    assert not genuine(post(form_token(COOKIE), **headers), COOKIE, OURS)


@pytest.mark.parametrize("token", ["", "x", form_token("d" * 43), form_token(COOKIE)[:-1], "\u00e9" * 64])
def test_a_form_without_the_token_of_this_browser_is_not(token: str) -> None:
    assert not genuine(post(token), COOKIE, OURS)


def test_without_a_cookie_nothing_is_taken() -> None:
    assert not genuine(post(form_token("")), "", OURS)


def test_the_token_does_not_tell_the_cookie() -> None:
    assert COOKIE not in form_token(COOKIE)
    assert len(form_token(COOKIE)) == 64
