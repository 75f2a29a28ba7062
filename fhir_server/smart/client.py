"""A client as the protocol's code sees it. https://www.rfc-editor.org/rfc/rfc6749#section-2"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from authlib.oauth2.rfc6749 import ClientMixin

from fhir_server.smart import redirect_uris, secrets
from fhir_server.store.oauth_clients import ACTIVE, Client

NONE, BASIC, POST, ASSERTION = "none", "client_secret_basic", "client_secret_post", "private_key_jwt"
METHODS = (NONE, BASIC, POST, ASSERTION)
"""How a client says who it is at the token endpoint. https://openid.net/specs/openid-connect-core-1_0.html#ClientAuthentication"""

CODE, REFRESH, CREDENTIALS = "authorization_code", "refresh_token", "client_credentials"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
GRANT_TYPES = (CODE, REFRESH, CREDENTIALS, EXCHANGE)

ORDINARY_SCOPE = (
    "openid fhirUser profile launch launch/patient launch/encounter offline_access online_access"
    " patient/*.cruds user/*.cruds"
)
"""What a client may ask people for that has not said what it needs: their roles and their decision cut it down."""


class OAuthClient(ClientMixin):  # type: ignore[misc]
    """A registered client, in the words of authlib. https://docs.authlib.org/en/latest/specs/rfc6749.html"""

    def __init__(self, row: Client) -> None:
        self.row = row

    def __repr__(self) -> str:
        return f"OAuthClient({self.row.id!r})"

    @property
    def client_id(self) -> str:
        """Its id."""
        return self.row.id

    @property
    def active(self) -> bool:
        """Whether it may do anything."""
        return self.row.state == ACTIVE

    def get_client_id(self) -> str:
        """Its id."""
        return self.row.id

    def get_default_redirect_uri(self) -> str:
        """The only redirect_uri there is, or "": a client with several has to say which."""
        return self.row.redirect_uris[0] if len(self.row.redirect_uris) == 1 else ""

    def get_allowed_scope(self, scope: str) -> str:
        """The scope as it was asked for: smart/scopes.py cuts it down."""
        return scope

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Whether people may be sent there."""
        return redirect_uris.registered(redirect_uri, self.row.redirect_uris)

    def check_client_secret(self, client_secret: str) -> bool:
        """Whether this is its secret, found out in the same time for every answer."""
        return hmac.compare_digest(secrets.digest(client_secret), self.row.secret or b"\0" * 32)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Whether it may say who it is in this way: the one that it has registered, or the other way of a secret.

        https://hl7.org/fhir/smart-app-launch/STU2.2/client-confidential-symmetric.html asks for Basic of all.
        """
        if self.row.method in (BASIC, POST):
            return method in (BASIC, POST)
        return method == self.row.method

    def check_response_type(self, response_type: str) -> bool:
        """Only codes are handed out by way of the browser."""
        return response_type == "code" and CODE in self.row.grant_types

    def check_grant_type(self, grant_type: str) -> bool:
        """Whether it may ask for access_tokens in this way."""
        return grant_type in self.row.grant_types

    @property
    def registered_scope(self) -> Sequence[str]:
        """What it may be granted at most."""
        return (self.row.scope or ORDINARY_SCOPE).split()
