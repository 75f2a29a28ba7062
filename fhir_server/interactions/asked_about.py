"""About whom $access is asked: the caller, or a person of the clinic. docs/access.md, "Why?" """

from __future__ import annotations

from collections.abc import Mapping

from fhir_server.access import scopes
from fhir_server.access.principal import Principal
from fhir_server.errors import BadRequest, NotFound
from fhir_server.interactions.context import Context
from fhir_server.interactions.refusal import refusal
from fhir_server.r4.references import ID
from fhir_server.search.suggest import shown
from fhir_server.store import people
from fhir_server.store.people import Person

ANY_SCOPE = "user/*.cruds"
"""What somebody else is taken to have been granted, where the question does not say: all that their roles allow."""


def subject(ctx: Context, given: Mapping[str, str], resource_type: str) -> tuple[Principal, Person | None]:
    """Who it is, and their account where it is somebody else's. Raises BadRequest, Forbidden, NotFound.

    ``scope`` and ``patient`` are the scopes and the launch context that a question about somebody else takes for given.
    Whoever may ask about themselves only is refused alike for whomever they name.
    """
    caller = ctx.principal
    named = given.get("user", "")
    if not named or named in (caller.subject, caller.fhir_user):
        if not {"scope", "patient"}.isdisjoint(given):
            raise BadRequest("scope and patient are for questions about somebody else: yours are in your access_token.")
        return caller, None
    if ctx.decide("access", resource_type).nothing:
        raise refusal(ctx, "access", resource_type)
    person = _person(ctx, named)
    patient = given.get("patient", "").removeprefix("Patient/")
    if patient and not ID.fullmatch(patient):
        raise BadRequest("patient must be the id of a Patient.")
    asked = given.get("scope", ANY_SCOPE)
    granted = scopes.parse(asked)
    if len(granted) != len(asked.split()):
        raise BadRequest(f"scope must be a list of clinical scopes such as {ANY_SCOPE}; not {shown(asked)}.")
    return (
        Principal(
            ctx.tenant.slug, person.id, "", granted, roles=person.roles, fhir_user=person.fhir_user, patient=patient
        ),
        person,
    )


def _person(ctx: Context, named: str) -> Person:
    everybody = ctx.store.within(lambda c: people.listed(c, ctx.tenant.id))
    found = [one for one in everybody if named == one.id or (one.fhir_user and named == one.fhir_user)]
    if not found:
        raise NotFound(f"No account of this clinic has the id {shown(named)}, or is that in FHIR.")
    if len(found) > 1:
        raise BadRequest(
            f"Several accounts are {shown(named)}: ask by the id of one; {', '.join(p.id for p in found)}."
        )
    return found[0]
