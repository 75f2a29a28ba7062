"""What an access_token or a refresh_token is still good for, and taking it back.

https://www.rfc-editor.org/rfc/rfc7662 (introspection), https://www.rfc-editor.org/rfc/rfc7009 (revocation)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from authlib.oauth2.rfc6749 import OAuth2Request
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint

from fhir_server.audit.event import now
from fhir_server.authn.access_token import Claims
from fhir_server.errors import Unauthenticated
from fhir_server.smart import secrets
from fhir_server.smart.client import METHODS, OAuthClient
from fhir_server.smart.services import Clinic
from fhir_server.store import oauth_grants, revocations
from fhir_server.store.oauth_grants import RefreshToken
from fhir_server.store.session import Connection


@dataclass(frozen=True, slots=True)
class Known:
    """A token that is still good: the claims of an access_token, or a refresh_token."""

    access: Claims | None = None
    refresh: RefreshToken | None = None

    @property
    def client_id(self) -> str:
        """Whom it was issued to."""
        if self.access is not None:
            return self.access.client_id
        return self.refresh.grant.client_id if self.refresh is not None else ""

    @property
    def grant(self) -> str:
        """The grant that it belongs to, "" for none."""
        if self.access is not None:
            return self.access.grant
        return self.refresh.grant.id if self.refresh is not None else ""

    def check_client(self, client: OAuthClient) -> bool:
        """Whether it was issued to this client."""
        return self.client_id == client.client_id

    def is_expired(self) -> bool:
        """Never: what has expired is not known."""
        return False

    def is_revoked(self) -> bool:
        """Never: what was revoked is not known."""
        return False


def find(clinic: Clinic, text: str) -> Known | None:
    """The token that a text is, if it is one of this clinic's and good."""
    try:
        claims = clinic.smart.verifier.verify(text)
    except Unauthenticated:
        return _refresh_token(clinic, text)
    return Known(access=claims) if claims.tenant == clinic.slug else None


def _refresh_token(clinic: Clinic, text: str) -> Known | None:
    row = clinic.smart.database.transaction(
        clinic.id, lambda c: oauth_grants.refresh_token(c, clinic.id, secrets.digest(text))
    )
    if row is None or row.used or row.grant.revoked or row.expires <= now():
        return None
    return Known(refresh=row)


class Introspection(IntrospectionEndpoint):  # type: ignore[misc]
    """Tells a client of its own tokens, and a client that serves resources (``introspect`` of its metadata) of all."""

    CLIENT_AUTH_METHODS = list(METHODS)

    def query_token(self, token_string: str, token_type_hint: str | None) -> Known | None:
        """The token; what kind it is shows by itself."""
        return find(self.server.clinic, token_string)

    def check_permission(self, token: Known, client: OAuthClient, request: OAuth2Request) -> bool:
        """Whether this client may know."""
        return token.check_client(client) or bool(client.row.metadata.get("introspect"))

    def introspect_token(self, token: Known) -> dict[str, Any]:
        """What is told. https://hl7.org/fhir/smart-app-launch/STU2.2/token-introspection.html"""
        clinic: Clinic = self.server.clinic
        if token.refresh is not None:
            grant = token.refresh.grant
            return {
                "active": True,
                "client_id": grant.client_id,
                "scope": grant.scope,
                "sub": grant.person_id,
                "exp": token.refresh.expires // 1_000_000,
                "token_type": "refresh_token",
                "iss": clinic.places.issuer,
            }
        claims = token.access
        if claims is None:
            return {"active": False}
        told: dict[str, Any] = {
            "active": True,
            "client_id": claims.client_id,
            "scope": claims.scope,
            "sub": claims.sub,
            "exp": claims.exp,
            "iat": claims.iat,
            "token_type": "Bearer",
            "iss": clinic.places.issuer,
            "aud": clinic.places.base,
            "jti": claims.jti,
        }
        if claims.fhir_user:
            told["fhirUser"] = f"{clinic.places.base}/{claims.fhir_user}"
        told |= {name: value for name in ("patient", "encounter") if (value := getattr(claims, name))}
        return told


class Revocation(RevocationEndpoint):  # type: ignore[misc]
    """Takes back what a client was given: with a refresh_token its whole grant, with an access_token that alone.

    It holds everywhere within a second.
    """

    CLIENT_AUTH_METHODS = list(METHODS)

    def query_token(self, token_string: str, token_type_hint: str | None) -> Known | None:
        """The token; one that is good no more needs no revoking."""
        return find(self.server.clinic, token_string)

    def revoke_token(self, token: Known, request: OAuth2Request) -> None:
        """Take it back."""
        clinic: Clinic = self.server.clinic
        at = now()

        def write(connection: Connection) -> None:
            if token.access is not None:
                until = (token.access.exp + 60) * 1_000_000
                revocations.revoke(connection, "token", token.access.jti, until, at)
            else:
                oauth_grants.revoke(connection, clinic.id, token.grant, at)

        clinic.smart.database.transaction(clinic.id, write)
        clinic.smart.verifier.revocations.forget()
        self.server.answered |= {"grant": token.grant, "revoked": "refresh_token" if token.refresh else "access_token"}
