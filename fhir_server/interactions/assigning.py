"""Assignments as operations and commands are given them. docs/care.md"""

from __future__ import annotations

import uuid
from typing import Any

from fhir_server.access import care, relations
from fhir_server.access.policy import EVERYTHING
from fhir_server.errors import BadRequest, NotFound
from fhir_server.interactions.named_parameters import interval, required
from fhir_server.r4 import instants, references
from fhir_server.r4.references import ID
from fhir_server.store.care import Assignment, Broken
from fhir_server.store.store import Store

KINDS = {"assignment": relations.ASSIGNMENT, "matter": relations.MATTER}
LONGEST = 1_000


def person_of(given: dict[str, str]) -> str:
    """Whom the parameter ``person`` (a reference) or ``user`` (the id of an account) names. Raises BadRequest."""
    if ("person" in given) == ("user" in given):
        raise BadRequest("Say who it is with one of person (a reference such as Practitioner/1) and user (an account).")
    if "user" in given:
        try:
            return f"User/{uuid.UUID(given['user'])}"
        except ValueError:
            raise BadRequest("user must be the id of an account.") from None
    found = references.parse(given["person"])
    if found.kind != "relative" or found.type not in care.PERSONS:
        raise BadRequest(f"person must be a reference to one of {', '.join(sorted(care.PERSONS))} of this clinic.")
    return f"{found.type}/{found.id}"


def assignment_of(patient_id: str, given: dict[str, str], by: str) -> Assignment:
    """What is to be assigned: ``kind``, ``matter``, ``from``, ``until`` and ``reason``. Raises BadRequest.

    A matter has a name and an end.
    """
    kind = given.get("kind", "assignment")
    if kind not in KINDS:
        raise BadRequest(f"kind must be one of {', '.join(KINDS)}.")
    matter = required("A matter", given, "matter", 1, LONGEST) if kind == "matter" else ""
    if kind != "matter" and "matter" in given:
        raise BadRequest("Only the kind matter has a matter.")
    start, end = interval(given, "from"), interval(given, "until")
    if kind == "matter" and end is None:
        raise BadRequest("A matter needs the parameter until: the last day on which it holds.")
    low, high = (start[0] if start else instants.MIN), (end[1] if end else instants.MAX)
    if low >= high:
        raise BadRequest("until must not be before from.")
    reason = required("An assignment", given, "reason", 1, LONGEST)
    return Assignment(person_of(given), patient_id, KINDS[kind], low, high, matter, reason, by)


def check_there(store: Store, resource_type: str, resource_id: str) -> None:
    """Raise NotFound where there is no such resource: those who may ask may ask about any."""
    found = store.read(EVERYTHING, resource_type, resource_id) if ID.fullmatch(resource_id) else None
    if found is None or found.deleted:
        raise NotFound(f"{resource_type}/{resource_id} is not known.")


def assignment_parts(one: Assignment) -> list[dict[str, Any]]:
    """An assignment as parts of a parameter."""
    kind = next(name for name, number in KINDS.items() if number == one.kind)
    parts: list[dict[str, Any]] = [
        {"name": "id", "valueString": str(one.id)},
        {"name": "person", **_who(one.person)},
        {"name": "patient", "valueReference": {"reference": f"Patient/{one.patient_id}"}},
        {"name": "kind", "valueCode": kind},
        *([{"name": "matter", "valueString": one.matter}] if one.matter else []),
        *_instant("from", one.low),
        *_instant("until", one.high),
        {"name": "reason", "valueString": one.reason},
        {"name": "createdBy", "valueString": one.created_by},
        *_instant("created", one.created),
    ]
    if one.revoked is not None:
        parts += [*_instant("revoked", one.revoked), {"name": "revokedBy", "valueString": one.revoked_by}]
    return parts


def alert_parts(one: Broken) -> list[dict[str, Any]]:
    """A broken glass as parts of a parameter."""
    parts: list[dict[str, Any]] = [
        {"name": "id", "valueString": str(one.id)},
        {"name": "person", **_who(one.subject)},
        {"name": "patient", "valueReference": {"reference": f"Patient/{one.patient_id}"}},
        {"name": "reason", "valueString": one.reason},
        *_instant("at", one.at),
        *_instant("until", one.until),
    ]
    if one.acknowledged is not None:
        parts += [
            *_instant("acknowledged", one.acknowledged),
            {"name": "acknowledgedBy", "valueString": one.acknowledged_by},
        ]
    return parts


def _who(person: str) -> dict[str, Any]:
    """Accounts are no resources, so that no Reference can point at one."""
    return {"valueString": person} if person.startswith("User/") else {"valueReference": {"reference": person}}


def _instant(name: str, us: int) -> list[dict[str, Any]]:
    """Nothing for an end that is open."""
    if us in (instants.MIN, instants.MAX):
        return []
    try:
        return [{"name": name, "valueInstant": instants.format_instant(us)}]
    except OverflowError:
        # The last day of the year 9999 ends beyond what an instant can say.
        return []
