"""What every page says to the browser about itself. https://cheatsheetseries.owasp.org/cheatsheets/HTTP_Headers_Cheat_Sheet.html"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

_HOST = re.compile(r"[a-z0-9.\-]+|\[[0-9a-f:.]+\]", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.\-]*", re.IGNORECASE)
_NEVER = frozenset(("javascript", "data", "blob", "vbscript", "about", "file", "filesystem"))
_FEATURES = (
    "camera=(), geolocation=(), microphone=(), payment=(), usb=(), "
    "publickey-credentials-get=(self), publickey-credentials-create=(self)"
)


def page_headers(*, https: bool, form_targets: Iterable[str] = ()) -> list[tuple[str, str]]:
    """The security headers of a page. https://www.w3.org/TR/CSP3/

    ``form_targets`` are CSP sources that answers to the page's forms may redirect to, beside ourselves: Chromium holds
    redirects against form-action as well.
    """
    forms = " ".join(("'self'", *form_targets))
    policy = (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; base-uri 'none'; "
        f"frame-ancestors 'none'; form-action {forms}"
    )
    headers = [
        ("Content-Security-Policy", policy),
        ("X-Frame-Options", "DENY"),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Cache-Control", "no-store"),
        ("Pragma", "no-cache"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Permissions-Policy", _FEATURES),
    ]
    if https:
        headers.append(("Strict-Transport-Security", "max-age=31536000; includeSubDomains"))
    return headers


def form_target(url: str) -> str:
    """The CSP source of an app's URL: its origin, or its scheme where that is the app's own ("org.example.app:").

    Empty for what cannot be written as a source. https://www.w3.org/TR/CSP3/#framework-directive-source-list
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    if not _SCHEME.fullmatch(parts.scheme) or parts.scheme.lower() in _NEVER:
        return ""
    if parts.scheme not in ("http", "https"):
        return f"{parts.scheme}:"
    if ":" in host:
        host = f"[{host}]"
    if not _HOST.fullmatch(host):
        return ""
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}"
