"""What a person has decided becomes a grant, and a code that the client takes it up with. https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from fhir_server.audit.event import now
from fhir_server.authn.people import Person
from fhir_server.authn.sessions import Session
from fhir_server.smart import scopes, secrets
from fhir_server.smart.authorization_request import AuthorizationRequest
from fhir_server.smart.errors import PageError, RedirectError
from fhir_server.smart.pending import PendingRequest
from fhir_server.smart.places import Places
from fhir_server.smart.services import Clinic
from fhir_server.store import oauth_grants, oauth_requests
from fhir_server.store.oauth_grants import Grant
from fhir_server.store.session import Connection

CODE_SECONDS = 60
"""How long a client may take to take up a code."""


def offered(clinic: Clinic, pending: PendingRequest, person: Person) -> tuple[list[scopes.Offered], int]:
    """What the person can be asked for, and how many of the scopes asked for are beyond them.

    Raises RedirectError where nothing is left, and PageError for a client that is gone.
    """
    client = clinic.client(pending.request.client_id)
    if client is None or not client.active:
        raise PageError("This app is not approved at this clinic any more.")
    found, beyond = scopes.offered(pending.request.scope, client.registered_scope, person.roles)
    if pending.launch_person == "" and not pending.request.launch:
        # Nothing is open in the clinic when an app is started by itself.
        found = [one for one in found if one.text != scopes.LAUNCH]
    if not any(one.clinical or one.text == scopes.OPENID for one in found):
        raise RedirectError(
            pending.request, "invalid_scope", "Nothing of what the app asks for can be granted by this person."
        )
    return found, beyond


def grant(
    clinic: Clinic, pending: PendingRequest, person: Person, session: Session, granted: Sequence[str]
) -> tuple[str, Grant]:
    """Grant these scopes, all of which were offered: where the browser is sent, and the grant.

    Raises PageError where the request was answered before, RedirectError for a launch that was used before,
    ValueError for scopes that were not offered, Unavailable.
    """
    limits = [one.text for one in offered(clinic, pending, person)[0]]
    for text in granted:
        if text not in limits and scopes.cut(text, limits) != [text]:
            raise ValueError(f"the scope {text} was not offered")
    code, at = secrets.new(), now()
    request = pending.request
    kept = Grant(
        str(uuid.uuid4()),
        request.client_id,
        person.id,
        " ".join(granted),
        _context(pending, granted) | {"auth_time": session.created // 1_000_000},
        "" if scopes.OFFLINE in granted else session.id,
        at,
    )

    def write(connection: Connection) -> str:
        if not oauth_requests.end_request(connection, clinic.id, secrets.digest(pending.handle)):
            return "request"
        if request.launch and not oauth_requests.end_launch(connection, clinic.id, secrets.digest(request.launch)):
            return "launch"
        oauth_grants.issue(
            connection,
            clinic.id,
            kept,
            digest=secrets.digest(code),
            redirect_uri=request.redirect_uri,
            challenge=request.challenge,
            nonce=request.nonce,
            expires=at + CODE_SECONDS * 1_000_000,
        )
        return ""

    match clinic.smart.database.transaction(clinic.id, write):
        case "request":
            raise PageError("This was decided already. Start again from the app.")
        case "launch":
            raise RedirectError(request, "invalid_request", "The launch was used before, or it has expired.")
    return onward(clinic.places, request, code=code), kept


def _context(pending: PendingRequest, granted: Sequence[str]) -> dict[str, Any]:
    """What the client is told of the launch: nothing that it has no scope for."""
    context = {name: value for name, value in pending.context.items() if scopes.LAUNCH in granted}
    patient = scopes.LAUNCH in granted or scopes.LAUNCH_PATIENT in granted or pending.request.needs_patient
    for name, value, told in (
        ("patient", pending.patient, patient),
        ("encounter", pending.encounter, scopes.LAUNCH in granted or scopes.LAUNCH_ENCOUNTER in granted),
    ):
        context.pop(name, None)
        if value and told:
            context[name] = value
    return context


def onward(places: Places, request: AuthorizationRequest, **parameters: str) -> str:
    """The redirect_uri with these parameters, state and iss. https://www.rfc-editor.org/rfc/rfc9207"""
    query = urlencode(parameters | {"state": request.state, "iss": places.issuer})
    return f"{request.redirect_uri}{'&' if '?' in request.redirect_uri else '?'}{query}"


def refused(places: Places, error: RedirectError) -> str:
    """Where the browser is sent with an error."""
    return onward(places, error.request, error=error.error, error_description=error.description)
