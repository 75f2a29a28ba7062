"""The authorization server of one clinic in authlib's terms: its clients, grants and token endpoints.

https://docs.authlib.org/en/latest/oauth2/authorization-server/index.html
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from authlib.oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import OAuth2Request
from authlib.oauth2.rfc6749.errors import InvalidRequestError
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload

from fhir_server.smart.client import ASSERTION, OAuthClient
from fhir_server.smart.client_authentication import by_assertion
from fhir_server.smart.services import Clinic

# At its level debug it writes credentials.
logging.getLogger("authlib").setLevel(logging.WARNING)

LONGEST = 16_384
"""Characters of the longest parameter of a request."""

Answer = tuple[int, dict[str, Any], dict[str, str]]
"""Status, body and headers."""


class FormRequest(OAuth2Request):  # type: ignore[misc]
    """A request to an endpoint that takes forms. Raises InvalidRequestError for one that says something twice.

    https://www.rfc-editor.org/rfc/rfc6749#section-3.2
    """

    def __init__(self, url: str, headers: Mapping[str, str], form: Mapping[str, list[str]], address: str = "") -> None:
        # authlib refuses http; whether TLS is needed is for BASE_URL to say, and a proxy before us may have ended it.
        super().__init__("POST", "https://" + url.partition("://")[2], headers=headers)
        if repeated := sorted(name for name, values in form.items() if len(values) > 1):
            raise InvalidRequestError(f"Given more than once: {_ascii(', '.join(repeated))}.")
        values = {name: given[0] for name, given in form.items()}
        if any(len(value) > LONGEST or "\0" in value for value in values.values()):
            raise InvalidRequestError(f"A parameter is longer than {LONGEST} characters.")
        self._values = values
        self.address = address
        self.payload = BasicOAuth2Payload(values)

    @property
    def form(self) -> dict[str, str]:
        """The fields of the form."""
        return self._values


class TokenServer(AuthorizationServer):  # type: ignore[misc]
    """Made for each request: it holds nothing but the clinic that the request is for.

    ``answered`` is what the audit trail is told, filled while a request is answered.
    """

    def __init__(self, clinic: Clinic) -> None:
        super().__init__()
        self.clinic = clinic
        self.answered: dict[str, Any] = {}
        self.register_client_auth_method(ASSERTION, by_assertion(clinic))

    def query_client(self, client_id: str) -> OAuthClient | None:
        """A client that may do anything; one that is shut out is as good as none."""
        client = self.clinic.client(client_id)
        return client if client is not None and client.active else None

    def authenticate_client(self, request: Any, methods: list[str], endpoint: str = "token") -> OAuthClient:
        """The client that a request is from. Raises InvalidClientError, also for one that is shut out."""
        client: OAuthClient = super().authenticate_client(request, methods, endpoint)
        self.answered["client_id"] = client.client_id
        return client

    def create_oauth2_request(self, request: Any) -> Any:
        """The request as it is: it was made for authlib."""
        return request

    def handle_response(self, status: int, body: Any, headers: Any) -> Answer:
        """The answer as plain values, for whoever writes responses."""
        values = dict(body) if isinstance(body, list) else body
        return status, values, dict(headers)

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens: what has happened stands in ``answered``."""


def parameters(pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
    """Pairs by their names; empty values count as not given (https://www.rfc-editor.org/rfc/rfc6749#section-3.1)."""
    values: dict[str, list[str]] = defaultdict(list)
    for name, value in pairs:
        if value:
            values[name].append(value)
    return values


def _ascii(text: str) -> str:
    return "".join(char if (char.isalnum() and char.isascii()) or char in "_, -" else "?" for char in text)[:200]
