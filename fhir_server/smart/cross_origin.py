"""Browser apps of other origins may ask. https://fetch.spec.whatwg.org/#http-cors-protocol"""

from __future__ import annotations

from flask import Request, Response

from fhir_server.rest.negotiate import Origins


class CrossOrigin:
    """Sets the headers of CORS. No endpoint of ours reads a cookie, so that any origin can be let in."""

    def __init__(self, allowed: str) -> None:
        self._origins = Origins(allowed)

    def allow(self, request: Request, response: Response) -> Response:
        """The response with its headers, for the origin that the request is from."""
        origin = request.headers.get("Origin", "")
        if origin:
            for name, value in self._origins.headers(request.method, origin):
                response.headers[name] = value
        return response
