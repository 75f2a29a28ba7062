"""Times as a page shows them, in UTC: nobody has told the server where a reader's clock stands. docs/pages.md"""

from __future__ import annotations

from datetime import UTC, datetime


def shown(at: datetime) -> str:
    """A moment: "3 May 2026, 08:12 UTC"."""
    moment = at.astimezone(UTC)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def shown_at(microseconds: int) -> str:
    """The same of microseconds since 1970."""
    return shown(datetime.fromtimestamp(microseconds / 1e6, UTC))


def browser(user_agent: str) -> str:
    """The browser and system that a User-Agent header claims, as people call them."""
    browsers = (
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrom", "Chrome"),
        ("Safari/", "Safari"),
    )
    systems = (
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "Mac"),
        ("Linux", "Linux"),
    )
    name = next((name for mark, name in browsers if mark in user_agent), "A browser")
    system = next((name for mark, name in systems if mark in user_agent), "")
    return f"{name} on {system}" if system else name
