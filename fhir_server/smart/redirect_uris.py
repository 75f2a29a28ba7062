"""Where a client may have people sent back to. https://www.rfc-editor.org/rfc/rfc9700#section-2.1"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

LONGEST = 2000
_PRINTABLE = re.compile(r"[\x21\x23-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]+")
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))
_PRIVATE_SCHEME = re.compile(r"[a-z][a-z0-9+\-]*(\.[a-z0-9+\-]+)+", re.IGNORECASE)


def problem(uri: str) -> str:
    """What is wrong with a redirect_uri that a client wants to register; "" for nothing.

    Only https, http on the client's own machine, and private schemes that are a reversed domain name are taken
    (https://www.rfc-editor.org/rfc/rfc8252#section-7).
    """
    parts = _parts(uri)
    if parts is None:
        return "must be an absolute URI of at most 2,000 printable ASCII characters"
    if parts.fragment or "#" in uri:
        return "must not have a fragment"
    if parts.username is not None or parts.password is not None:
        return "must not carry a user name"
    if parts.scheme == "https":
        return "" if parts.hostname else "must name a host"
    if parts.scheme == "http":
        return "" if parts.hostname in _LOOPBACK else "must be https, unless it is on localhost"
    if _PRIVATE_SCHEME.fullmatch(parts.scheme):
        return ""
    return "must be https, http on localhost, or a scheme that is a reversed domain name such as org.example.app"


def registered(uri: str, known: Iterable[str]) -> bool:
    """Whether a redirect_uri is one of those registered, character for character.

    The port of a loopback address may differ: apps on somebody's machine take any that is free
    (https://www.rfc-editor.org/rfc/rfc8252#section-7.3).
    """
    return any(uri == one or _same_but_for_port(uri, one) for one in known)


def _same_but_for_port(uri: str, known: str) -> bool:
    ours, theirs = _parts(known), _parts(uri)
    if ours is None or theirs is None or ours.scheme != "http" or ours.hostname not in ("127.0.0.1", "::1"):
        return False
    if theirs.username is not None:
        return False
    same = ("scheme", "hostname", "path", "query", "fragment")
    return all(getattr(ours, name) == getattr(theirs, name) for name in same)


def _parts(uri: str) -> SplitResult | None:
    if len(uri) > LONGEST or not _PRINTABLE.fullmatch(uri):
        return None
    try:
        parts = urlsplit(uri)
        parts.port  # noqa: B018 - it is read to find out whether it is one
    except ValueError:
        return None
    return parts if parts.scheme else None
