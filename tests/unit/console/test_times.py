"""Times and browsers as a page shows them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from fhir_server.console.times import browser, shown


def test_a_moment_is_shown_in_utc() -> None:
    assert shown(datetime(2026, 5, 3, 1, 5, tzinfo=timezone(timedelta(hours=-7)))) == "3 May 2026, 08:05 UTC"


def test_a_browser_is_named_as_people_call_it() -> None:
    assert browser("Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0") == "Firefox on Linux"
    assert browser("curl/8.5") == "A browser"
