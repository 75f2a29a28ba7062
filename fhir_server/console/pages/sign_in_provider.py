"""Signing in at the clinic's own OpenID provider. https://openid.net/specs/openid-connect-core-1_0.html#CodeFlowAuth"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Any

from flask import Response

from fhir_server.audit import event as events
from fhir_server.authn.people import Person
from fhir_server.authn.provider_metadata import UpstreamError
from fhir_server.authn.upstream import Identity, StateRecord, UpstreamProvider
from fhir_server.console.visit import Visit, see_other
from fhir_server.crypto.sealing import SealBroken
from fhir_server.r4 import json

STRONG = frozenset(("mfa", "otp", "hwk", "swk", "sc", "fpt", "face", "iris"))
"""Methods that are a second factor. https://www.rfc-editor.org/rfc/rfc8176#section-2"""


@dataclass(frozen=True, slots=True)
class _Begun:
    """What the browser keeps, sealed, while the person is at the provider."""

    record: StateRecord
    request: str
    then: str


def begin(visit: Visit) -> Response:
    """GET /t/{slug}/sign-in/provider"""
    provider = _provider(visit)
    if provider is None:
        return visit.redirect("sign-in")
    try:
        url, record = visit.services.upstream.begin(provider, _return_address(visit))
    except UpstreamError as error:
        return _refused(visit, error)
    begun = {
        "record": record.to_json(),
        "request": visit.pending.handle if visit.pending is not None else "",
        "then": visit.then,
    }
    sealed = visit.services.sealer.seal(json.dumps(begun), _context(visit))
    response = see_other(url)
    visit.jar.set_upstream(response, urlsafe_b64encode(sealed).decode())
    return response


def finish(visit: Visit) -> Response:
    """GET /t/{slug}/sign-in/provider/return"""
    provider, begun = _provider(visit), _begun(visit)
    if provider is None or begun is None:
        return visit.problem(
            403,
            "Please sign in again",
            "This sign-in was not begun in this browser, or it has waited for too long.",
            back="sign-in",
        )
    if begun.request:
        visit.pending = visit.services.smart.pending.find(visit.tenant.id, begun.request)
    try:
        given = {name: visit.request.args[name] for name in visit.request.args}
        identity = visit.services.upstream.finish(provider, begun.record, given)
    except UpstreamError as error:
        response = _refused(visit, error)
    else:
        response = _signed_in(visit, identity, begun)
    visit.jar.clear_upstream(response)
    return response


def _signed_in(visit: Visit, identity: Identity, begun: _Begun) -> Response:
    person = _person(visit, identity)
    if person is None or person.disabled:
        visit.record("login", outcome=events.REFUSED, status=403, reason="unknown", detail={"method": "upstream"})
        return visit.problem(
            403,
            "You do not have an account here",
            "You have signed in at your organization, but nobody has given you access to this clinic.",
            hint="An administrator of the clinic can add you under the user name that you have there.",
            back="sign-in",
        )
    methods = ("upstream", "upstream-mfa") if STRONG & set(identity.amr) else ("upstream",)
    visit.begin_session(person, methods)
    visit.record("login", detail={"methods": list(methods)})
    if visit.pending is not None:
        return visit.redirect("resume")
    return visit.redirect(begun.then if begun.then in visit.paths else "home")


def _person(visit: Visit, identity: Identity) -> Person | None:
    """Who it is here: whoever has that account, or at the first time whoever has that username and no account there."""
    people, tenant = visit.services.people, visit.tenant.id
    known = people.by_upstream(tenant, identity.issuer, identity.subject)
    if known is not None:
        return known
    named = people.by_username(tenant, identity.username) if identity.username else None
    if named is None or named.upstream or named.disabled:
        return None
    return people.change(tenant, named.id, upstream=f"{identity.issuer} {identity.subject}")


def _provider(visit: Visit) -> UpstreamProvider | None:
    return visit.settings.provider(visit.services.sealer, visit.tenant.id)


def _begun(visit: Visit) -> _Begun | None:
    try:
        sealed = urlsafe_b64decode(visit.jar.upstream(visit.request))
        values: dict[str, Any] = json.parse(visit.services.sealer.open(sealed, _context(visit)))
        return _Begun(StateRecord(**values["record"]), str(values["request"]), str(values["then"]))
    except (SealBroken, ValueError, TypeError, KeyError):
        return None


def _return_address(visit: Visit) -> str:
    return f"{visit.server.places.clinic}{visit.paths['sign-in-return']}"


def _context(visit: Visit) -> str:
    return f"sign-in:{visit.tenant.id}"


def _refused(visit: Visit, error: UpstreamError) -> Response:
    visit.record("login", outcome=events.REFUSED, status=403, reason=error.reason, detail={"method": "upstream"})
    return visit.problem(403, "Signing in did not work", str(error), back="sign-in")
