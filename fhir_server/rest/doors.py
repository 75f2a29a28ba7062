"""Where anybody may knock, signed in or not: so often a minute from one network address, at each endpoint.

https://www.rfc-editor.org/rfc/rfc6585#section-4
"""

from __future__ import annotations

from collections.abc import Callable

from flask import Response, request

from fhir_server.authn.limits import Limiter
from fhir_server.r4 import json
from fhir_server.rest.client_address import network_of
from fhir_server.rest.negotiate import Origins

_READS = frozenset(("GET", "HEAD", "OPTIONS"))
KEEPS_SOMETHING = frozenset(("console.authorize",))
"""Endpoints that write to the database for each GET as well."""


def knock(limiter: Limiter, per_minute: int, cors_origins: str) -> Callable[[], Response | None]:
    """What is asked before each request that is not FHIR's: the answer 429, or None to go on."""
    origins = Origins(cors_origins)

    def before() -> Response | None:
        endpoint = request.endpoint
        if endpoint is None or (request.method in _READS and endpoint not in KEEPS_SOMETHING):
            return None
        seconds = limiter.allow(f"{endpoint} {network_of(request.remote_addr or '')}", per_minute)
        return _refused(endpoint, seconds, origins) if seconds else None

    return before


def _refused(endpoint: str, seconds: int, origins: Origins) -> Response:
    sentence = f"Too many requests from your network address: wait {seconds} s and try again."
    headers = [("Retry-After", str(seconds)), ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]
    if not endpoint.startswith("smart."):
        return Response(sentence, 429, headers, content_type="text/plain; charset=utf-8")
    if origin := request.headers.get("Origin", ""):
        headers += origins.headers(request.method, origin)
    body = {"error": "temporarily_unavailable", "error_description": sentence}
    return Response(json.dumps(body), 429, headers, content_type="application/json")
