"""Cookies of a session and of a visitor."""

from __future__ import annotations

import pytest
from flask import Request, Response
from werkzeug.test import EnvironBuilder

from fhir_server.console.cookies import Jar, new_value


def sent(cookie: str) -> Request:
    return Request(EnvironBuilder(headers={"Cookie": cookie}).get_environ())


@pytest.mark.parametrize(("https", "prefix"), [(True, "__Host-"), (False, "")])
def test_a_session_is_set_read_and_cleared(https: bool, prefix: str) -> None:
    jar, value, response = Jar("riverside", https=https), new_value(), Response()
    jar.set_session(response, value)
    header = response.headers["Set-Cookie"]
    assert header.startswith(f"{prefix}session-riverside={value};")
    assert ("Secure" in header, "HttpOnly" in header, "SameSite=Lax" in header) == (https, True, True)
    assert "Path=/" in header
    assert "Domain" not in header
    assert jar.session(sent(f"{prefix}session-riverside={value}")) == value
    jar.clear_session(response)
    assert "Max-Age=0" in response.headers.getlist("Set-Cookie")[1]


def test_a_clinic_does_not_read_the_cookies_of_another() -> None:
    value = new_value()
    request = sent(f"session-riverside={value}; visitor-riverside={value}")
    assert (Jar("hillside", https=False).session(request), Jar("hillside", https=False).visitor(request)) == ("", "")
    assert Jar("riverside", https=False).visitor(request) == value


@pytest.mark.parametrize("value", ["", "short", "x" * 300, "<script>" + "x" * 32])
def test_what_cannot_be_a_cookie_of_ours_is_none(value: str) -> None:
    assert Jar("riverside", https=False).session(sent(f"session-riverside={value}")) == ""
