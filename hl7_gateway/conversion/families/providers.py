"""PRD, CTD: Practitioner, PractitionerRole, Organization of a referral. docs/hl7.md

Who is mentioned is made where there is nobody of the number yet, and never changed, as everywhere.
"""

from __future__ import annotations

from typing import Any, Final

from hl7_gateway.conversion.datatypes.identifiers import type_of
from hl7_gateway.conversion.datatypes.names import display, xad, xpn, xtn
from hl7_gateway.conversion.datatypes.references import location, organization_draft
from hl7_gateway.conversion.datatypes.simple import clean, date, spanning
from hl7_gateway.conversion.draft import Draft
from hl7_gateway.conversion.families.required import known_of
from hl7_gateway.conversion.families.roles import reached, works
from hl7_gateway.conversion.walk import Parts, Walk
from hl7_gateway.feed_mapping import NPI
from hl7_gateway.message import Segment, Value
from hl7_gateway.problems import Place

_REFERRING: Final = "RP"
_REFERRED_TO: Final = "RT"
_PRIMARY_CARE: Final = "PP"


def prd(walk: Walk, segment: Segment) -> None:
    """A provider: who refers (RP), whom to (RT), the patient's own doctor (PP), or another."""
    patient = walk.current.get("Patient")
    if patient is None or walk.count(("PRD", str(segment.position))):
        return
    person = _practitioner(walk, segment)
    company = _organization(walk, segment)
    walk.current.pop("provider", None)
    if company is not None:
        walk.current["provider"] = company
    if person is not None and company is not None:
        _role(walk, segment, person, company)
    reference = _reference(walk, segment, person, company)
    if reference is None:
        return
    walk.at(segment, 1)
    roles = {value.text.strip().upper() for value in segment.repetitions(1)}
    request, task = walk.current.get("referral"), walk.current.get("Task")
    walk.at(segment, 7 if segment[7] else 2)
    if _PRIMARY_CARE in roles and "reference" in reference:
        walk.gather(patient, "generalPractitioner", reference, {}, "PRD#PP")
    if request is None or task is None:
        return
    if _REFERRING in roles:
        walk.state(request, "requester", reference, slot="PRD#RP")
        walk.state(task, "requester", reference, slot="PRD#RP")
    if _REFERRED_TO in roles:
        walk.gather(request, "performer", reference, {}, "PRD#RT")
        walk.state(task, "owner", reference, slot="PRD#RT", initial=True)
    if not roles & {_REFERRING, _REFERRED_TO, _PRIMARY_CARE}:
        walk.gather(request, "supportingInfo", reference, {}, "PRD#other")


def _reference(
    walk: Walk, segment: Segment, person: Draft | None, company: Draft | None
) -> dict[str, Any] | None:  # fmt: skip
    """The person, else their name, else the organization."""
    if person is not None:
        return person.reference
    walk.at(segment, 2)
    name = xpn(segment.first(2), walk) if segment[2] else None
    if name and display(name[0]):
        return {"display": display(name[0])}
    return company.reference if company is not None else None


def _identified(value: Value, walk: Walk) -> tuple[str, str, str] | None:
    """System, number and type of a PLN, whose number is one of its type and state."""
    number, kind, state = (clean(value.part(part).strip()) for part in (1, 2, 3))
    if not number:
        return None
    if kind.upper() == "NPI":
        return NPI, number, kind
    namespace = f"{state}-{kind}" if state and kind else kind or state
    return walk.mapping.assigned(namespace, "", "", walk.message), number, kind


def _practitioner(walk: Walk, segment: Segment) -> Draft | None:
    known = [
        (place, found)
        for place, value in enumerate(segment.repetitions(7), 1)
        if (found := _identified(value, walk)) is not None
    ]
    if not known:
        return None
    made, new = walk.stub("Practitioner", known[0][1][:2])
    walk.read(segment, 2, 3, 5, 6, 7)
    if not new:
        return made
    made.identifiers = [(system, number) for _, (system, number, _) in known]
    for place, (system, number, kind) in known:
        walk.at(segment, 7, place)
        identifier: dict[str, Any] = {"system": system, "value": number}
        parts: Parts = {"value": 1, "system": 2}
        if kind:
            identifier["type"] = type_of(kind)
            parts["type"] = 2
        ends = date(segment.repetitions(7)[place - 1].component(4), walk)
        if ends:
            identifier["period"] = {"end": ends[0]}
            parts["period.end"] = 4
        walk.gather(made, "identifier", identifier, parts, "PRD-7")
    for field, path, convert in ((2, "name", xpn), (3, "address", xad), (5, "telecom", xtn("work"))):
        reached(walk, segment, field, made, path, convert)
    return made


def _organization(walk: Walk, segment: Segment) -> Draft | None:
    if not segment[10]:
        return None
    walk.at(segment, 10)
    value = segment.first(10)
    name = clean(value.part(1).strip())
    number = clean(value.part(10).strip() or value.part(3).strip())
    if not name and not number:
        return None
    made = organization_draft(walk, name, number, value.component(6), value.component(8))
    if not walk.count(("PRD-10", made.name)):
        reached(walk, segment, 11, made, "address", xad)
        reached(walk, segment, 13, made, "telecom", xtn("work"))
    return made


def _role(walk: Walk, segment: Segment, person: Draft, company: Draft) -> None:
    """The person at the organization: where, and since when."""
    walk.at(segment, 4)
    place = location(segment.first(4), walk) if segment[4] else None
    made = works(walk, person, company, place, segment, 10)
    lasting = spanning(segment, 8, 9, walk)
    if lasting and not known_of(made, "period"):
        walk.at(segment, 8)
        walk.state(made, "period", *lasting)


def ctd(walk: Walk, segment: Segment) -> None:
    """Whom to ask at the organization of the provider or insurer before it."""
    company = walk.current.get("provider")
    if company is None or walk.count(("CTD", str(segment.position))):
        return
    made: dict[str, Any] = {}
    parts: Parts = {}
    for field, path, convert, listed in (
        (2, "name", xpn, False),
        (3, "address", xad, False),
        (5, "telecom", xtn("work"), True),
    ):
        values = [value for value in segment.repetitions(field) if value.raw and not value.null]
        walk.at(segment, field)
        found = [one[0] for value in values if (one := convert(value, walk))]
        if found:
            made[path] = found if listed else found[0]
            parts[path] = Place("CTD", segment.number, field)
    if made:
        walk.at(segment)
        walk.gather(company, "contact", made, parts, "CTD")
