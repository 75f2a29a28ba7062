"""IN1, IN2: Coverage. docs/hl7.md"""

from __future__ import annotations

from typing import Any, Final

from hl7_gateway.conversion.datatypes.codes import code
from hl7_gateway.conversion.datatypes.identifiers import cx
from hl7_gateway.conversion.datatypes.names import xad, xpn, xtn
from hl7_gateway.conversion.datatypes.references import organization_draft
from hl7_gateway.conversion.datatypes.simple import clean, date
from hl7_gateway.conversion.draft import DRAFT, Draft
from hl7_gateway.conversion.families.patient import _SELF
from hl7_gateway.conversion.families.required import known_of
from hl7_gateway.conversion.families.roles import reached
from hl7_gateway.conversion.maps.insurance import IN1_COVERAGE, IN2_COVERAGE, IN2_SUBSCRIBER
from hl7_gateway.conversion.table import Convert, within
from hl7_gateway.conversion.walk import Walk
from hl7_gateway.message import Segment

ABSENT: Final = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"


def in1(walk: Walk, segment: Segment) -> None:
    """An insurance of the patient, known by insurer, plan and policy; a policy is shared by a family."""
    patient = walk.current.get("Patient")
    if patient is None or not any(segment[field] for field in (2, 3, 4, 36)):
        return
    coverage = walk.draft("Coverage")
    walk.current["Coverage"] = coverage
    insurer = segment.text(3).strip() or segment.text(4).strip().casefold()
    policy = segment.text(36).strip() or segment.text(49).strip()
    coverage.natural = ("IN1", DRAFT + patient.name, insurer, segment.text(2).strip(), policy)
    IN1_COVERAGE.apply(segment, coverage, walk)
    walk.at(segment)
    walk.state(coverage, "status", "active", slot="IN1#status", initial=True)
    walk.state(coverage, "beneficiary", patient.reference, slot="IN1#beneficiary")
    _payor(walk, segment, coverage)
    _holder(walk, segment, coverage)
    _subscriber(walk, segment, coverage, patient)
    bill = walk.current.get("Account")
    if bill is not None:
        walk.gather(bill, "coverage", {"coverage": coverage.reference}, {"coverage": 0}, "IN1#coverage")


def _payor(walk: Walk, segment: Segment, coverage: Draft) -> None:
    """The insurer by its number (IN1-3), which tells it better than its name."""
    name, value = clean(segment.text(4).strip()), segment.first(3)
    number = clean(value.part(1).strip())
    if number:
        walk.at(segment, 3)
        insurer = organization_draft(walk, name, number, value.component(4), value.component(6))
        if not walk.count(("IN1", insurer.name)):
            _reached(walk, segment, insurer)
        walk.state(coverage, "payor", insurer.reference, {"": 1}, slot="IN1-4")
    elif not known_of(coverage, "payor"):
        unknown = {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}
        walk.state(coverage, "payor", unknown, slot="IN1-4", initial=True)


def _holder(walk: Walk, segment: Segment, coverage: Draft) -> None:
    """The numbers of the organization that holds the policy (IN1-11) for the insured."""
    for said in coverage.stated if segment[10] else ():
        holder = walk.mentioned(said.values[0].value) if said.path == "policyHolder" and said.values else None
        if holder is not None:
            reached(walk, segment, 10, holder, "identifier", cx())


def _reached(walk: Walk, segment: Segment, insurer: Draft) -> None:
    """Where an insurer is that is new, and who is to be asked."""
    rows: tuple[tuple[int, str, Convert], ...] = (
        (5, "address", xad),
        (6, "contact", within("name", xpn)),
        (7, "telecom", xtn("work")),
    )
    for field, path, convert in rows:
        reached(walk, segment, field, insurer, path, convert)


def _subscriber(walk: Walk, segment: Segment, coverage: Draft, patient: Draft) -> None:
    """Who is insured: the patient, or somebody whose relationship to them is told by IN1-17."""
    walk.current.pop("subscriber", None)
    walk.at(segment, 16)
    walk.read(segment, 17, 18, 19, 43)
    if segment.text(17).strip().upper() in _SELF:
        walk.state(coverage, "subscriber", patient.reference, slot="IN1-16")
        return
    name = xpn(segment.first(16), walk) if segment[16] else None
    if name is None:
        return
    person = walk.draft("RelatedPerson")
    walk.current["subscriber"] = person
    written = segment.first(16)
    person.natural = (
        "IN1",
        DRAFT + patient.name,
        written.part(1).strip().casefold(),
        written.part(2).strip().casefold(),
    )
    walk.state(person, "name", *name)
    walk.state(person, "patient", patient.reference, slot="IN1#patient")
    more: tuple[tuple[int, str, Any], ...] = (
        (18, "birthDate", date),
        (19, "address", xad),
        (43, "gender", code("AdministrativeSex")),
    )
    for field, path, convert in more:
        if segment[field]:
            walk.at(segment, field)
            found = convert(segment.first(field), walk)
            if found:
                walk.state(person, path, *found)
    walk.at(segment, 16)
    walk.state(coverage, "subscriber", person.reference)


def in2(walk: Walk, segment: Segment) -> None:
    """More about the insurance before it."""
    coverage, person = walk.current.get("Coverage"), walk.current.get("subscriber")
    if coverage is not None:
        IN2_COVERAGE.apply(segment, coverage, walk)
    if coverage is not None and person is not None:
        IN2_SUBSCRIBER.apply(segment, person, walk)
