"""The answer of the token endpoint. https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#obtain-access-token"""

from __future__ import annotations

from typing import Any

from fhir_server.authn import access_token
from fhir_server.authn.people import Person
from fhir_server.smart import id_token, scopes
from fhir_server.smart.services import Clinic
from fhir_server.store.oauth_grants import Grant

REFRESH_DAYS = 90
"""How long a refresh_token may lie unused."""

Response = dict[str, Any]


def scope_of(grant: Grant, person: Person) -> str:
    """What is left of a grant under the roles that the person has by now."""
    return " ".join(kept for text in grant.scope.split() if (kept := scopes.within_roles(text, person.roles)))


def refreshable(grant: Grant) -> bool:
    """Whether refresh_tokens go with the grant."""
    return bool({scopes.OFFLINE, scopes.ONLINE} & set(grant.scope.split()))


def for_person(
    clinic: Clinic, grant: Grant, person: Person, scope: str, *, refresh_token: str = "", nonce: str = ""
) -> Response:
    """An access_token of a person's grant, with what goes beside it."""
    settings = clinic.smart.settings
    token = access_token.issue(
        clinic.smart.keys,
        issuer=settings.issuer,
        sub=person.id,
        client_id=grant.client_id,
        tenant=clinic.slug,
        scope=scope,
        lifetime=settings.access_token_lifetime,
        roles=person.roles,
        fhir_user=person.fhir_user,
        patient=str(grant.context.get("patient", "")),
        encounter=str(grant.context.get("encounter", "")),
        grant=grant.id,
    )
    response = _response(clinic, token, scope)
    told = {name: value for name, value in grant.context.items() if name != "auth_time"}
    if told:
        response |= told
    if scopes.LAUNCH in grant.scope.split():
        response["smart_style_url"] = clinic.places.style
    granted = scope.split()
    if scopes.OPENID in granted:
        response["id_token"] = id_token.issue(
            clinic.smart.identity_keys,
            clinic.places,
            person,
            client_id=grant.client_id,
            scopes=granted,
            access_token=token,
            nonce=nonce,
            auth_time=int(grant.context.get("auth_time", 0)),
        )
    if refresh_token:
        response["refresh_token"] = refresh_token
    return response


def for_service(clinic: Clinic, client_id: str, scope: str) -> Response:
    """An access_token of a client that acts for nobody. https://hl7.org/fhir/smart-app-launch/STU2.2/backend-services.html"""
    lifetime = min(clinic.smart.settings.access_token_lifetime, SERVICE_SECONDS)
    token = access_token.issue(
        clinic.smart.keys,
        issuer=clinic.smart.settings.issuer,
        sub=client_id,
        client_id=client_id,
        tenant=clinic.slug,
        scope=scope,
        lifetime=lifetime,
    )
    return _response(clinic, token, scope) | {"expires_in": lifetime}


SERVICE_SECONDS = 300
"""How long a service's access_token is valid at most: it can have another at any time."""


def _response(clinic: Clinic, token: str, scope: str) -> Response:
    return {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": clinic.smart.settings.access_token_lifetime,
        "scope": scope,
    }
