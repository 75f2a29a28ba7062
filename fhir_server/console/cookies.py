"""The two cookies: of a session, and of a visitor who has none yet. https://www.rfc-editor.org/rfc/rfc6265"""

from __future__ import annotations

import re
import secrets

from flask import Request, Response

LONGEST_SEALED = 3800
"""Characters of a sealed value: browsers keep cookies of 4 KB."""

_VALUE = re.compile(r"[A-Za-z0-9_\-.]{32,256}")


class Jar:
    """Reads and sets the cookies of one clinic's pages.

    Each clinic has cookies of its own name, for in URLs by path all clinics share one host. Over https the name begins
    with __Host-, which keeps other hosts of the same domain from setting it.

    https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Set-Cookie#cookie_prefixes
    """

    def __init__(self, slug: str, *, https: bool) -> None:
        prefix = "__Host-" if https else ""
        self._session = f"{prefix}session-{slug}"
        self._visitor = f"{prefix}visitor-{slug}"
        self._upstream = f"{prefix}provider-{slug}"
        self._https = https

    def session(self, request: Request) -> str:
        """The session's cookie, or ""."""
        return _read(request, self._session)

    def visitor(self, request: Request) -> str:
        """The visitor's cookie, or ""."""
        return _read(request, self._visitor)

    def upstream(self, request: Request) -> str:
        """What was kept of a sign-in at the clinic's provider, or ""."""
        value = request.cookies.get(self._upstream, "")
        return value if len(value) <= LONGEST_SEALED else ""

    def set_upstream(self, response: Response, value: str) -> None:
        """Keep what a sign-in at the clinic's provider needs when the person comes back, for ten minutes."""
        response.set_cookie(
            self._upstream, value, max_age=600, path="/", secure=self._https, httponly=True, samesite="Lax"
        )

    def clear_upstream(self, response: Response) -> None:
        """Forget it."""
        response.delete_cookie(self._upstream, path="/", secure=self._https, httponly=True, samesite="Lax")

    def set_session(self, response: Response, value: str) -> None:
        """Begin a session in this browser; the cookie ends with the browser, the session by its own time-outs."""
        self._set(response, self._session, value)

    def set_visitor(self, response: Response, value: str) -> None:
        """Know this visitor again."""
        self._set(response, self._visitor, value)

    def clear_session(self, response: Response) -> None:
        """Forget the session in this browser."""
        response.delete_cookie(self._session, path="/", secure=self._https, httponly=True, samesite="Lax")

    def clear_visitor(self, response: Response) -> None:
        """Forget the visitor in this browser."""
        response.delete_cookie(self._visitor, path="/", secure=self._https, httponly=True, samesite="Lax")

    def _set(self, response: Response, name: str, value: str) -> None:
        response.set_cookie(name, value, path="/", secure=self._https, httponly=True, samesite="Lax")


def new_value() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)


def _read(request: Request, name: str) -> str:
    value = request.cookies.get(name, "")
    return value if _VALUE.fullmatch(value) else ""
