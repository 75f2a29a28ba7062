"""RF1, AUT: ServiceRequest, Task, ClaimResponse of a referral. docs/hl7.md

Who refers whom stands before the patient (PID) whom it is about: it is told as soon as that one is known.
"""

from __future__ import annotations

from typing import Final

from fhir_server.validation.conditions import after
from hl7_gateway.conversion.datatypes.codes import fixed_concept
from hl7_gateway.conversion.datatypes.identifiers import ei_pair
from hl7_gateway.conversion.datatypes.references import organization_draft
from hl7_gateway.conversion.datatypes.simple import clean, stamp
from hl7_gateway.conversion.draft import DRAFT, Draft
from hl7_gateway.conversion.families.clinical import dg1, key_of
from hl7_gateway.conversion.families.family import Family, Handler
from hl7_gateway.conversion.families.insurance import ABSENT, in1
from hl7_gateway.conversion.families.providers import ctd, prd
from hl7_gateway.conversion.families.required import known_of
from hl7_gateway.conversion.families.results import result_obr
from hl7_gateway.conversion.families.visit import pv1
from hl7_gateway.conversion.maps.problems import word
from hl7_gateway.conversion.maps.referral import AUT_RESPONSE, REFERRAL, RF1_REQUEST, RF1_TASK, STATUS, TASK
from hl7_gateway.conversion.vocabulary import TERMINOLOGY
from hl7_gateway.conversion.walk import Walk
from hl7_gateway.message import Segment


def told_of_the_patient(walk: Walk, segment: Segment) -> None:
    """What was said of the referral before the patient whom it is about."""
    segments = walk.message.segments
    start = segment.position
    while start > 0 and segments[start - 1].name != "PID":
        start -= 1
    for place in range(start, segment.position):
        before = segments[place]
        handler = _BEFORE.get(before.name)
        if handler is not None:
            handler(walk, before)


def rf1(walk: Walk, segment: Segment) -> None:
    """A referral: known by the number of who refers, else by others' numbers; and the task that it is to somebody."""
    patient = walk.current.get("Patient")
    if patient is None or walk.count(("RF1", str(segment.position))):
        return
    made = walk.draft("ServiceRequest")
    made.identifiers = [
        known
        for value in (segment.first(6), *segment.repetitions(11))
        if (known := ei_pair(value, walk)) is not None
    ]  # fmt: skip
    made.natural = ("RF1", DRAFT + patient.name, key_of(segment, 3), segment.text(7).strip())
    RF1_REQUEST.apply(segment, made, walk)
    walk.at(segment)
    walk.state(made, "subject", patient.reference, slot="RF1#subject")
    walk.state(made, "intent", "order", slot="RF1#intent")
    walk.state(made, "category", REFERRAL, slot="RF1#category")
    if not known_of(made, "code"):
        walk.state(made, "code", {"text": "Referral"}, slot="RF1-3", initial=True)
    task = _task(walk, segment, made, patient)
    _status(walk, segment, made, task)
    walk.current["referral"] = walk.current["ServiceRequest"] = walk.current["noted"] = made
    walk.current["Task"] = task


def _task(walk: Walk, segment: Segment, request: Draft, patient: Draft) -> Draft:
    """What somebody has to do: accept the referral, and act on it."""
    made = walk.draft("Task")
    made.natural = ("RF1", DRAFT + request.name)
    RF1_TASK.apply(segment, made, walk)
    walk.at(segment)
    walk.state(made, "intent", "order", slot="RF1#intent")
    walk.state(made, "focus", request.reference, slot="RF1#focus")
    walk.state(made, "for", patient.reference, slot="RF1#for")
    fulfil = fixed_concept("fulfill", "http://hl7.org/fhir/CodeSystem/task-code", "Fulfill the focal request")
    walk.state(made, "code", fulfil, slot="RF1#code")
    header = walk.message.header
    walk.at(header, 7)
    sent = stamp(header.text(7), walk)
    begun = next((said.values[0].value for said in made.stated if said.path == "authoredOn" and said.values), None)
    if sent and not after(begun, sent):
        walk.state(made, "lastModified", sent, {"": 1}, slot="MSH-7")
    elif sent:
        # R4 has nothing that was changed before it was made: constraint inv-1.
        walk.warn("The referral is later than the message; the task has no time of its last change.")
        walk.take_back(made, "lastModified", "MSH-7")
    return made


def _status(walk: Walk, segment: Segment, request: Draft, task: Draft) -> None:
    """What the referral and its task are by the event (I14 cancels), the action, and RF1-1."""
    walk.at(segment, 1)
    if segment.text(25).strip().upper() == "D":
        walk.at(segment, 25)
        walk.state(request, "status", "entered-in-error", slot="RF1-1")
        walk.state(task, "status", "entered-in-error", slot="RF1-1")
        return
    if walk.event == "I14":
        walk.at(walk.message.header, 9)
        walk.state(request, "status", "revoked", slot="RF1-1")
        walk.state(task, "status", "cancelled", slot="RF1-1")
        return
    sent = segment.first(1)
    status, step = word(sent, STATUS), word(sent, TASK)
    if status:
        walk.state(request, "status", status, {"": 1})
    else:
        if sent and not sent.null:
            walk.warn("This referral status is not in table 0283, and was left out.")
        walk.state(request, "status", "active", slot="RF1-1", initial=True)
    if step:
        walk.state(task, "status", step, {"": 1})
    else:
        # Who was asked may have answered meanwhile: asking again does not take that back.
        walk.state(task, "status", "requested", slot="RF1-1", initial=True)


def aut(walk: Walk, segment: Segment) -> None:
    """An authorization by the insurance: its answer to a request, in advance."""
    patient = walk.current.get("Patient")
    if patient is None or walk.count(("AUT", str(segment.position))):
        return
    made = walk.draft("ClaimResponse")
    known = ei_pair(segment.first(6), walk)
    made.identifiers = [known] if known else []
    company = clean(segment.text(3).strip()) or clean(segment.first(2).part(2).strip())
    number = clean(segment.text(2).strip())
    made.natural = ("AUT", DRAFT + patient.name, number or company.casefold(), segment.text(4).strip())
    AUT_RESPONSE.apply(segment, made, walk)
    walk.at(segment)
    for path, value in (("status", "active"), ("use", "preauthorization"), ("outcome", "complete")):
        walk.state(made, path, value, slot=f"AUT#{path}")
    kind = fixed_concept("professional", TERMINOLOGY + "claim-type")
    walk.state(made, "type", kind, slot="AUT#type", initial=True)
    walk.state(made, "patient", patient.reference, slot="AUT#patient")
    walk.at(segment, 3)
    if company or number:
        insurer = organization_draft(walk, company or number, number)
        walk.state(made, "insurer", insurer.reference, {"": 1}, slot="AUT-3")
        walk.current["provider"] = insurer
    else:
        unknown = {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}
        walk.state(made, "insurer", unknown, slot="AUT-3", initial=True)
    if not known_of(made, "created"):
        header = walk.message.header
        walk.at(header, 7)
        sent = stamp(header.text(7), walk)
        if sent:
            walk.state(made, "created", sent, {"": 1}, slot="AUT-10", initial=True)
        else:
            walk.state(
                made, "_created", {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}, slot="AUT-10", initial=True
            )
    request = walk.current.get("referral")
    if request is not None:
        walk.at(segment, 6)
        walk.gather(request, "insurance", made.reference, {"": 6}, "AUT#insurance")


def _insurance(walk: Walk, segment: Segment) -> None:
    """An insurance, which is asked to pay for what the referral is about."""
    before = walk.current.get("Coverage")
    in1(walk, segment)
    made, request = walk.current.get("Coverage"), walk.current.get("referral")
    if made is not None and made is not before and request is not None:
        walk.at(segment)
        walk.gather(request, "insurance", made.reference, {"": 2}, "IN1#insurance")


def _visit(walk: Walk, segment: Segment) -> None:
    """The visit that the referral comes from; notes that follow are of the referral again."""
    pv1(walk, segment)
    encounter, request = walk.current.get("Encounter"), walk.current.get("referral")
    if request is None:
        return
    walk.current["noted"] = request
    task = walk.current.get("Task")
    for draft in (request, task):
        if encounter is not None and draft is not None:
            walk.at(segment)
            walk.state(draft, "encounter", encounter.reference, slot="PV1#encounter")


def _diagnosis(walk: Walk, segment: Segment) -> None:
    """A diagnosis: why the patient is referred, wherever in the message it stands."""
    request, before = walk.current.get("referral"), walk.current.get("ServiceRequest")
    if request is not None:
        walk.current["ServiceRequest"] = request
    dg1(walk, segment)
    if before is not None:
        walk.current["ServiceRequest"] = before
    else:
        walk.current.pop("ServiceRequest", None)


def _waiting(handler: Handler) -> Handler:
    """The handler, where the patient is known: a referral behind one patient and before another is of the other."""

    def handled(walk: Walk, segment: Segment) -> None:
        person, begun = walk.segments.get("PID"), walk.segments.get("RF1")
        last = walk.message.all("PID")[-1:]
        waits = (
            person is not None
            and begun is not None
            and begun.position > person.position
            and last[0].position > segment.position
        )
        if not waits:
            handler(walk, segment)

    return handled


_BEFORE: Final[dict[str, Handler]] = {"RF1": rf1, "AUT": aut, "PRD": prd, "CTD": ctd}

BEFORE_THE_PATIENT: Final[dict[str, Handler]] = {name: _waiting(handler) for name, handler in _BEFORE.items()}
"""What stands before the patient whom it is about."""

REFERRALS: Final = Family("referrals", {"OBR": result_obr, "IN1": _insurance, "PV1": _visit, "DG1": _diagnosis})
