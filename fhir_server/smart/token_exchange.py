"""An access_token for a narrower one, to hand on to somebody who needs no more. https://www.rfc-editor.org/rfc/rfc8693"""

from __future__ import annotations

import time
from typing import Any

from authlib.oauth2.rfc6749.errors import (
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    UnauthorizedClientError,
)
from authlib.oauth2.rfc6749.grants import BaseGrant, TokenEndpointMixin

from fhir_server.authn import access_token
from fhir_server.authn.access_token import Claims
from fhir_server.errors import Unauthenticated
from fhir_server.smart import scopes
from fhir_server.smart.client import ASSERTION, BASIC, EXCHANGE, POST, OAuthClient
from fhir_server.smart.services import Clinic

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a type's name


class ExchangeGrant(BaseGrant, TokenEndpointMixin):  # type: ignore[misc]
    """A client gives an access_token of its own and gets one with fewer scopes, for no longer than the first is valid.

    It belongs to the same grant and ends with it.
    """

    TOKEN_ENDPOINT_AUTH_METHODS = [ASSERTION, BASIC, POST]
    GRANT_TYPE = EXCHANGE

    def validate_token_request(self) -> None:
        """Verify the access_token that is given. Only whom it was issued to may exchange it."""
        clinic: Clinic = self.server.clinic
        client: OAuthClient = self.authenticate_token_endpoint_client()
        if not client.check_grant_type(EXCHANGE):
            raise UnauthorizedClientError("The client has not registered for token exchange.")
        form = self.request.form
        if form.get("subject_token_type") != ACCESS_TOKEN or "actor_token" in form:
            raise InvalidRequestError(f"subject_token_type must be {ACCESS_TOKEN}, without an actor_token.")
        if form.get("requested_token_type", ACCESS_TOKEN) != ACCESS_TOKEN:
            raise InvalidRequestError(f"requested_token_type must be {ACCESS_TOKEN}.")
        try:
            claims = clinic.smart.verifier.verify(form.get("subject_token", ""))
        except Unauthenticated:
            raise InvalidGrantError("The subject_token is no valid access_token of this server.") from None
        if claims.tenant != clinic.slug or claims.client_id != client.client_id:
            raise InvalidGrantError("The subject_token was issued to another client, or at another clinic.")
        self.request.client = client
        self.request.credential = claims

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Issue the narrower access_token."""
        clinic: Clinic = self.server.clinic
        claims: Claims = self.request.credential
        scope = scopes.subset(self.request.form.get("scope", "") or claims.scope, claims.scope)
        if not scope:
            raise InvalidScopeError("scope must be within that of the subject_token.")
        settings = clinic.smart.settings
        lifetime = min(settings.access_token_lifetime, claims.exp - int(time.time()))
        if lifetime <= 0:
            raise InvalidGrantError("The subject_token has expired.")
        token = access_token.issue(
            clinic.smart.keys,
            issuer=settings.issuer,
            sub=claims.sub,
            client_id=claims.client_id,
            tenant=clinic.slug,
            scope=scope,
            lifetime=lifetime,
            roles=claims.roles,
            fhir_user=claims.fhir_user,
            patient=claims.patient,
            encounter=claims.encounter,
            grant=claims.grant,
        )
        self.server.answered |= {
            "subject": claims.sub,
            "roles": claims.roles,
            "fhir_user": claims.fhir_user,
            "grant": claims.grant,
            "scope": scope,
        }
        body: dict[str, Any] = {
            "access_token": token,
            "issued_token_type": ACCESS_TOKEN,
            "token_type": "Bearer",
            "expires_in": lifetime,
            "scope": scope,
        }
        body |= {name: value for name, value in (("patient", claims.patient), ("encounter", claims.encounter)) if value}
        return 200, body, self.TOKEN_RESPONSE_HEADER
