"""How a request for access ends when it cannot go on. https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2.1"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fhir_server.smart.authorization_request import AuthorizationRequest


class PageError(Exception):
    """The person is told, and nobody is redirected: where to is not to be trusted. The message says what is wrong."""


class RedirectError(Exception):
    """The client is told, by way of its redirect_uri: ``error`` is a code of OAuth's or OpenID Connect's.

    https://openid.net/specs/openid-connect-core-1_0.html#AuthError
    """

    def __init__(self, request: AuthorizationRequest, error: str, description: str) -> None:
        super().__init__(description)
        self.request = request
        self.error = error
        self.description = description
