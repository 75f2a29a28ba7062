"""Random values that only their holder has, and what is kept of them here. https://www.rfc-editor.org/rfc/rfc6819#section-5.1.4"""

from __future__ import annotations

import secrets
from hashlib import sha256


def new() -> str:
    """256 random bits, in 43 characters of a URL."""
    return secrets.token_urlsafe(32)


def digest(value: str) -> bytes:
    """What is kept of such a value: nobody who reads the database can use it. They are long enough to need no salt."""
    return sha256(value.encode("utf-8", "surrogatepass")).digest()
