"""The ways to an access_token: a code, a refresh_token, a service's own credentials. https://www.rfc-editor.org/rfc/rfc6749#section-4"""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc6749.errors import (
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    UnauthorizedClientError,
)
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, BaseGrant, TokenEndpointMixin
from authlib.oauth2.rfc7636 import CodeChallenge

from fhir_server.audit.event import now
from fhir_server.authn.people import Person
from fhir_server.smart import issuing, scopes, secrets
from fhir_server.smart.client import ASSERTION, BASIC, CREDENTIALS, METHODS, NONE, POST, REFRESH, OAuthClient
from fhir_server.smart.services import Clinic
from fhir_server.store import oauth_grants
from fhir_server.store.oauth_grants import Code, Grant, RefreshToken
from fhir_server.store.session import Connection

Answer = tuple[int, dict[str, Any], list[tuple[str, str]]]
_DAY = 86_400_000_000


class IssuedCode:
    """A code in authlib's terms."""

    code_challenge_method = "S256"

    def __init__(self, digest: bytes, row: Code) -> None:
        self.digest = digest
        self.row = row
        self.code_challenge = row.challenge

    def get_redirect_uri(self) -> str:
        """Where it was sent to."""
        return self.row.redirect_uri

    def get_scope(self) -> str:
        """What was granted."""
        return self.row.grant.scope


class S256(CodeChallenge):  # type: ignore[misc]
    """PKCE, without the method that protects nothing. https://www.rfc-editor.org/rfc/rfc7636"""

    DEFAULT_CODE_CHALLENGE_METHOD = "S256"
    SUPPORTED_CODE_CHALLENGE_METHOD = ["S256"]


class CodeGrant(AuthorizationCodeGrant):  # type: ignore[misc]
    """A code for an access_token. https://www.rfc-editor.org/rfc/rfc6749#section-4.1.3"""

    TOKEN_ENDPOINT_AUTH_METHODS = list(METHODS)

    def query_authorization_code(self, code: str, client: OAuthClient) -> IssuedCode:
        """The code, if it may still be taken up by this client. One that is used again ends what came of it."""
        clinic: Clinic = self.server.clinic
        digest, at = secrets.digest(code), now()
        row = clinic.smart.database.transaction(clinic.id, lambda c: oauth_grants.code(c, clinic.id, digest))
        if row is None or row.grant.client_id != client.client_id:
            raise InvalidGrantError("The code is none that this client was given.")
        self.server.answered |= _told(row.grant)
        if row.used:
            _end(clinic, row.grant)
            raise InvalidGrantError("The code was used before. What was granted with it has been taken back.")
        if row.expires <= at or row.grant.revoked:
            raise InvalidGrantError("The code has expired: it must be used within a minute.")
        return IssuedCode(digest, row)

    def create_token_response(self) -> Answer:
        """Use the code up and issue what was granted."""
        clinic: Clinic = self.server.clinic
        code: IssuedCode = self.request.authorization_code
        grant = code.row.grant
        person = _person(clinic, grant)
        scope = issuing.scope_of(grant, person)
        with_refresh = issuing.refreshable(grant) and self.request.client.check_grant_type(REFRESH)
        refresh, at = secrets.new() if with_refresh else "", now()

        def take_up(connection: Connection) -> bool:
            if not oauth_grants.use_code(connection, clinic.id, code.digest, at):
                return False
            if refresh:
                expires = at + issuing.REFRESH_DAYS * _DAY
                oauth_grants.add_refresh_token(connection, clinic.id, grant.id, secrets.digest(refresh), at, expires)
            return True

        if not clinic.smart.database.transaction(clinic.id, take_up):
            _end(clinic, grant)
            raise InvalidGrantError("The code was used before. What was granted with it has been taken back.")
        response = issuing.for_person(clinic, grant, person, scope, refresh_token=refresh, nonce=code.row.nonce)
        self.server.answered |= _told(grant, person, scope)
        return 200, response, self.TOKEN_RESPONSE_HEADER


class RefreshGrant(BaseGrant, TokenEndpointMixin):  # type: ignore[misc]
    """The next access_token; each refresh_token is used once. https://www.rfc-editor.org/rfc/rfc9700#section-4.14"""

    TOKEN_ENDPOINT_AUTH_METHODS = list(METHODS)
    GRANT_TYPE = REFRESH

    def validate_token_request(self) -> None:
        """Find the refresh_token. One that is used again ends its grant: one of two that have it has stolen it."""
        clinic: Clinic = self.server.clinic
        text = self.request.form.get("refresh_token", "")
        if not text:
            raise InvalidRequestError("refresh_token is missing.")
        digest = secrets.digest(text)
        row = clinic.smart.database.transaction(clinic.id, lambda c: oauth_grants.refresh_token(c, clinic.id, digest))
        client = self._client(clinic, row)
        if not client.check_grant_type(REFRESH):
            raise UnauthorizedClientError("The client has not registered for grant_type=refresh_token.")
        if row is None or row.grant.client_id != client.client_id:
            raise InvalidGrantError("The refresh_token is none that this client was given.")
        self.server.answered |= _told(row.grant)
        if row.used:
            _end(clinic, row.grant)
            raise InvalidGrantError("The refresh_token was used before. What was granted with it has been taken back.")
        if row.grant.revoked or row.expires <= now():
            raise InvalidGrantError("The refresh_token has expired, or the access was taken back.")
        self.request.client = client
        self.request.refresh_token = row
        self.request.credential = digest

    def _client(self, clinic: Clinic, row: RefreshToken | None) -> OAuthClient:
        """Who asks. A public client need not say so here: the refresh_token does, and it has no other credentials.

        https://www.rfc-editor.org/rfc/rfc6749#section-6
        """
        said = {"client_id", "client_assertion", "client_secret"} & set(self.request.form)
        if said or "Authorization" in self.request.headers or row is None:
            found: OAuthClient = self.authenticate_token_endpoint_client()
            return found
        client = clinic.client(row.grant.client_id)
        if client is None or not client.active or not client.check_endpoint_auth_method(NONE, "token"):
            raise InvalidClientError(description="The client must show who it is.", status_code=401)
        self.server.answered["client_id"] = client.client_id
        return client

    def create_token_response(self) -> Answer:
        """Put a new refresh_token in the place of the one used."""
        clinic: Clinic = self.server.clinic
        row: RefreshToken = self.request.refresh_token
        digest: bytes = self.request.credential
        grant = row.grant
        person = _person(clinic, grant)
        scope = _narrowed(self.request.form.get("scope", ""), issuing.scope_of(grant, person))
        refresh, at = secrets.new(), now()

        def turn(connection: Connection) -> bool:
            if not oauth_grants.use_refresh_token(connection, clinic.id, digest, at):
                return False
            expires = at + issuing.REFRESH_DAYS * _DAY
            oauth_grants.add_refresh_token(connection, clinic.id, grant.id, secrets.digest(refresh), at, expires)
            return True

        if not clinic.smart.database.transaction(clinic.id, turn):
            again = clinic.smart.database.transaction(
                clinic.id, lambda c: oauth_grants.refresh_token(c, clinic.id, digest)
            )
            if again is not None and again.used:
                _end(clinic, grant)
            raise InvalidGrantError("The refresh_token was used before, or the session that it belongs to has ended.")
        self.server.answered |= _told(grant, person, scope)
        return 200, issuing.for_person(clinic, grant, person, scope, refresh_token=refresh), self.TOKEN_RESPONSE_HEADER


class CredentialsGrant(BaseGrant, TokenEndpointMixin):  # type: ignore[misc]
    """A service acts for nobody. https://hl7.org/fhir/smart-app-launch/STU2.2/backend-services.html"""

    TOKEN_ENDPOINT_AUTH_METHODS = [ASSERTION, BASIC, POST]
    GRANT_TYPE = CREDENTIALS

    def validate_token_request(self) -> None:
        """Only clients with credentials may, and only for ``system/`` scopes that they have registered."""
        client = self.authenticate_token_endpoint_client()
        if not client.check_grant_type(CREDENTIALS):
            raise UnauthorizedClientError("The client has not registered for grant_type=client_credentials.")
        self.request.client = client

    def create_token_response(self) -> Answer:
        """Issue an access_token for what is registered of what is asked for."""
        clinic: Clinic = self.server.clinic
        client: OAuthClient = self.request.client
        asked = self.request.form.get("scope", "").split()
        if not asked:
            raise InvalidScopeError("scope is missing; a service asks for system/ scopes.")
        limits = [text for text in client.row.scope.split() if text.startswith("system/")]
        granted = list(dict.fromkeys(kept for text in asked if scopes.one(text) for kept in scopes.cut(text, limits)))
        if not granted:
            raise InvalidScopeError("None of the system/ scopes asked for is registered for this client.")
        scope = " ".join(granted)
        self.server.answered |= {"scope": scope, "subject": client.client_id}
        return 200, issuing.for_service(clinic, client.client_id, scope), self.TOKEN_RESPONSE_HEADER


def _narrowed(asked: str, granted: str) -> str:
    if not granted:
        raise InvalidGrantError("Nothing of what was granted is within the person's roles any more.")
    if not asked:
        return granted
    kept = scopes.subset(asked, granted)
    if not kept:
        raise InvalidScopeError("scope must be within what was granted.")
    return kept


def _person(clinic: Clinic, grant: Grant) -> Person:
    person = clinic.smart.people.find(clinic.id, grant.person_id)
    if person is None or person.disabled:
        raise InvalidGrantError("The person cannot sign in at this clinic any more.")
    return person


def _end(clinic: Clinic, grant: Grant) -> None:
    at = now()
    clinic.smart.database.transaction(clinic.id, lambda c: oauth_grants.revoke(c, clinic.id, grant.id, at))


def _told(grant: Grant, person: Person | None = None, scope: str = "") -> dict[str, Any]:
    told: dict[str, Any] = {"grant": grant.id, "subject": grant.person_id}
    if person is not None:
        told |= {"roles": person.roles, "fhir_user": person.fhir_user, "scope": scope}
    return told
