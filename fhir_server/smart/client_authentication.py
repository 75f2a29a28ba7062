"""Who is this client? The one way that authlib does not have: an assertion signed with the client's key.

https://hl7.org/fhir/smart-app-launch/STU2.2/client-confidential-asymmetric.html
"""

from __future__ import annotations

import time
from collections.abc import Callable

from authlib.oauth2.rfc6749 import OAuth2Request
from authlib.oauth2.rfc6749.errors import InvalidClientError

from fhir_server.authn import client_assertion, public_keys
from fhir_server.authn.client_assertion import InvalidClient
from fhir_server.authn.public_keys import PublicKey
from fhir_server.smart import secrets
from fhir_server.smart.client import ASSERTION, OAuthClient
from fhir_server.smart.services import Clinic
from fhir_server.store import oauth_clients


def by_assertion(clinic: Clinic) -> Callable[[object, OAuth2Request], OAuthClient | None]:
    """The method ``private_key_jwt`` for this clinic, as authlib calls it. Raises InvalidClientError."""

    def authenticate(_: object, request: OAuth2Request) -> OAuthClient | None:
        form = request.form
        if "client_assertion" not in form and "client_assertion_type" not in form:
            return None
        if form.get("client_assertion_type") != client_assertion.TYPE:
            raise _refused(f"client_assertion_type must be {client_assertion.TYPE}.")
        try:
            return _client(clinic, form.get("client_assertion", ""), form.get("client_id", ""))
        except InvalidClient as error:
            raise _refused(str(error)) from None

    return authenticate


def _client(clinic: Clinic, assertion: str, named: str) -> OAuthClient:
    client_id = client_assertion.claimed_client_id(assertion)
    if named and named != client_id:
        raise InvalidClient("client_id is not the one that the client_assertion is of.")
    client = clinic.client(client_id)
    if client is None or not client.active or client.row.method != ASSERTION:
        raise InvalidClient("No client that may sign assertions is registered here under the client_assertion's sub.")
    row, key_sets = client.row, clinic.smart.key_sets

    def key(kid: str, alg: str) -> PublicKey:
        return public_keys.key_in(row.jwks, kid, alg) if row.jwks else key_sets.key(row.jwks_uri, kid, alg)

    verified = client_assertion.verify(
        assertion,
        audience=(clinic.places.endpoint("token"), clinic.places.issuer),
        client_id=client_id,
        key_lookup=key,
        now=time.time(),
        jwks_url=row.jwks_uri,
    )
    expires = (verified.exp + client_assertion.CLOCK_SKEW_SECONDS) * 1_000_000
    fresh = clinic.smart.database.transaction(
        clinic.id,
        lambda c: oauth_clients.use_assertion(c, clinic.id, client_id, secrets.digest(verified.jti), expires),
    )
    if not fresh:
        raise InvalidClient("The client_assertion was used before: its jti must be another each time.")
    return client


def _refused(description: str) -> InvalidClientError:
    # OAuth allows neither of these in a description: https://www.rfc-editor.org/rfc/rfc6749#section-5.2
    return InvalidClientError(description=description.replace('"', "'").replace("\\", "/"), status_code=401)
