"""Is a form ours, sent by the person who sees it? https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html"""

from __future__ import annotations

import hmac
from collections.abc import Collection
from hashlib import sha256

from flask import Request

FIELD = "form_token"
"""The hidden field of every form."""


def form_token(cookie: str) -> str:
    """What a form must carry to be taken from the browser that holds this cookie, which no page can read."""
    return hmac.new(cookie.encode(), b"form", sha256).hexdigest()


def genuine(request: Request, cookie: str, origins: Collection[str]) -> bool:
    """Whether a POST comes from a form of ours in the browser that holds ``cookie``.

    The token decides. Beside it stands what the browser says of the page that sent the form: our pages send no
    referrer, and so an Origin of "null", which Sec-Fetch-Site then explains (https://www.w3.org/TR/fetch-metadata/).
    """
    origin = request.headers.get("Origin", "null")
    if origin != "null" and origin not in origins:
        return False
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return False
    given = request.form.get(FIELD, "")
    return bool(cookie) and hmac.compare_digest(given.encode(), form_token(cookie).encode())
