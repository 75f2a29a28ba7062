"""Who cares for whom, by what the resources say. Pure, no I/O. docs/care.md

https://hl7.org/fhir/R4/careteam.html, https://hl7.org/fhir/R4/encounter.html, https://hl7.org/fhir/R4/appointment.html
and https://hl7.org/fhir/R4/servicerequest.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from fhir_server.access import relations as kinds
from fhir_server.r4 import instants, references

Resource = dict[str, Any]

AFTER_ENCOUNTER = 365 * instants.DAY
"""How long whoever took part in an encounter goes on to be related to its patient."""

AFTER_APPOINTMENT = 30 * instants.DAY

AFTER_REQUEST = 365 * instants.DAY
"""How long whoever asked for a service, or did it, goes on to be related to the patient after it was completed."""

PERSONS = frozenset({"Practitioner", "PractitionerRole", "RelatedPerson"})
"""Types that may stand for a person who uses the clinic's applications."""

ITSELF = ""
"""Stands for the patient where the resource is the patient: its id may not be known yet."""

_ENCOUNTER_OVER = "finished"
_NO_ENCOUNTER = frozenset({"cancelled", "entered-in-error"})
_BOOKED = frozenset({"pending", "booked", "arrived", "checked-in", "fulfilled"})
_REQUESTED = frozenset({"active", "on-hold", "completed", "unknown"})


class Relation(NamedTuple):
    """A person ("Practitioner/1") is related to a patient ("Patient/1" or `ITSELF`) in the time [low, high)."""

    person: str
    patient: str
    kind: int
    low: int
    high: int


def relations(resource: Resource) -> list[Relation]:
    """What a resource of one of the types in `TYPES` says, each person, patient and kind at no time twice.

    References to the server's own base are relative by now. https://hl7.org/fhir/R4/references.html#literal
    """
    return _joined(TYPES[resource["resourceType"]](resource))


def _joined(found: Iterable[Relation]) -> list[Relation]:
    """The same without relations that never hold, times that overlap or touch made one."""
    joined: list[Relation] = []
    for one in sorted(one for one in found if one.low < one.high):
        last = joined[-1] if joined else None
        if last is not None and last[:3] == one[:3] and one.low <= last.high:
            joined[-1] = last._replace(high=max(last.high, one.high))
        else:
            joined.append(one)
    return joined


def _patient(resource: Resource) -> Iterator[Relation]:
    for person in _persons(resource.get("generalPractitioner", ())):
        yield Relation(person, ITSELF, kinds.GENERAL_PRACTITIONER, instants.MIN, instants.MAX)


def _care_team(resource: Resource) -> Iterator[Relation]:
    patients = _patients([resource.get("subject")])
    if resource.get("status") != "active" or not patients:
        return
    low, high = instants.period(resource.get("period", {}))
    for participant in resource.get("participant", ()):
        first, last = instants.period(participant.get("period", {}))
        for person in _persons([participant.get("member")]):
            yield Relation(person, patients[0], kinds.CARE_TEAM, max(low, first), min(high, last))


def _encounter(resource: Resource) -> Iterator[Relation]:
    status = resource.get("status")
    patients = _patients([resource.get("subject")])
    if status in _NO_ENCOUNTER or not patients:
        return
    whole = resource.get("period", {})
    for participant in resource.get("participant", ()):
        own = participant.get("period", {})
        # Who prepares for an encounter looks at the record before it begins.
        start = None if status == "planned" else own.get("start") or whole.get("start")
        low = instants.MIN if start is None else instants.interval(start)[0]
        end = own.get("end") or whole.get("end")
        if end is None and status == _ENCOUNTER_OVER:
            # It ended, and nobody says when: at the earliest when it began.
            end = own.get("start") or whole.get("start")
            if end is None:
                continue
        for person in _persons([participant.get("individual")]):
            yield Relation(person, patients[0], kinds.ENCOUNTER, low, _after(end, AFTER_ENCOUNTER))


def _appointment(resource: Resource) -> Iterator[Relation]:
    if resource.get("status") not in _BOOKED:
        return
    actors = [one.get("actor") for one in resource.get("participant", ()) if one.get("status") != "declined"]
    end = resource.get("end") or resource.get("start") or resource.get("created")
    if end is None:
        return
    created = resource.get("created")
    low = instants.MIN if created is None else instants.interval(created)[0]
    for patient in _patients(actors):
        for person in _persons(actors):
            yield Relation(person, patient, kinds.APPOINTMENT, low, _after(end, AFTER_APPOINTMENT))


def _service_request(resource: Resource) -> Iterator[Relation]:
    patients = _patients([resource.get("subject")])
    if resource.get("status") not in _REQUESTED or not patients:
        return
    authored = resource.get("authoredOn")
    low = instants.MIN if authored is None else instants.interval(authored)[0]
    high = instants.MAX
    if resource["status"] == "completed":
        end = resource.get("occurrencePeriod", {}).get("end") or resource.get("occurrenceDateTime") or authored
        if end is None:
            return
        high = _after(end, AFTER_REQUEST)
    for person in _persons([resource.get("requester")]):
        yield Relation(person, patients[0], kinds.REFERRAL, low, high)
    for person in _persons(resource.get("performer", ())):
        yield Relation(person, patients[0], kinds.PERFORMER, low, high)


TYPES: Mapping[str, Callable[[Resource], Iterator[Relation]]] = {
    "Appointment": _appointment,
    "CareTeam": _care_team,
    "Encounter": _encounter,
    "Patient": _patient,
    "ServiceRequest": _service_request,
}
"""The types that say who cares for whom."""


def _after(end: str | None, more: int) -> int:
    return instants.MAX if end is None else instants.interval(end)[1] + more


def _persons(given: Iterable[Any]) -> list[str]:
    return _named(given, PERSONS)


def _patients(given: Iterable[Any]) -> list[str]:
    return _named(given, frozenset({"Patient"}))


def _named(given: Iterable[Any], types: frozenset[str]) -> list[str]:
    """The resources of this server that References point at, of some types; identifiers alone point at none."""
    found = []
    for one in given:
        reference = references.parse(one["reference"]) if one and "reference" in one else None
        if reference and reference.kind == "relative" and reference.type in types:
            found.append(f"{reference.type}/{reference.id}")
    return found
