"""FT1, DG1, PR1, IN1, ACC together: Claim. https://hl7.org/fhir/R4/claim.html"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

from hl7_gateway.conversion.datatypes.codes import concept, fixed_concept
from hl7_gateway.conversion.datatypes.references import organization, organization_draft, practitioner
from hl7_gateway.conversion.datatypes.simple import clean, date, date_range, number, stamp
from hl7_gateway.conversion.draft import DRAFT, Draft, Said, Stated
from hl7_gateway.conversion.families.clinical import key_of
from hl7_gateway.conversion.families.insurance import ABSENT
from hl7_gateway.conversion.maps.finance import Entry, lasts, money
from hl7_gateway.conversion.vocabulary import TERMINOLOGY
from hl7_gateway.conversion.walk import Walk
from hl7_gateway.message import Segment
from hl7_gateway.problems import Place


@dataclass(slots=True)
class _Bill:
    """What a message says of a patient's charges. ``own`` holds the drafts about the patient, by type."""

    patient: Draft
    charges: list[Segment] = field(default_factory=list)
    accident: Segment | None = None
    own: dict[str, list[Draft]] = field(default_factory=lambda: defaultdict(list))


def acc(walk: Walk, segment: Segment) -> None:
    """An accident: the claim tells of it at the end."""


def finish_claims(walk: Walk) -> None:
    """A Claim of the charges (CG) of each patient; credits and payments are not claimed."""
    for bill in _bills(walk):
        charges = [segment for segment in bill.charges if segment.text(6).strip().upper() in ("CG", "")]
        if charges:
            bill.charges = charges
            _claim(walk, bill)


def _bills(walk: Walk) -> list[_Bill]:
    bills: list[_Bill] = []
    patients = iter([draft for draft in walk.conversion.drafts if draft.type == "Patient" and not draft.stub])
    for segment in walk.message.segments:
        if segment.name == "PID":
            bills.append(_Bill(next(patients)))
        elif bills and segment.name == "FT1" and any(segment[number] for number in (2, 7, 25)):
            bills[-1].charges.append(segment)
        elif bills and segment.name == "ACC":
            bills[-1].accident = segment
    about = {DRAFT + bill.patient.name: bill for bill in bills}
    for draft in walk.conversion.drafts:
        if draft.type not in ("Condition", "Procedure", "Coverage", "Encounter", "Account"):
            continue
        for stated in draft.stated:
            if stated.path in ("subject", "beneficiary") and stated.values:
                bill = about.get(stated.values[0].value.get("reference", ""))
                if bill is not None:
                    bill.own[draft.type].append(draft)
    return bills


def _claim(walk: Walk, bill: _Bill) -> None:
    first = bill.charges[0]
    made = walk.draft("Claim")
    owner = next(iter([*bill.own["Account"], *bill.own["Encounter"]]), bill.patient)
    number_ = first.text(2).strip()
    made.natural = (
        "FT1", DRAFT + bill.patient.name, DRAFT + owner.name, number_, first.text(4).strip(),
        key_of(first, 7) or key_of(first, 25),
    )  # fmt: skip
    walk.at(first)
    walk.state(made, "status", "active", slot="FT1#status", initial=True)
    walk.state(made, "use", "claim", slot="FT1#use")
    walk.state(made, "patient", bill.patient.reference, slot="FT1#patient")
    walk.state(made, "type", _type(bill), slot="FT1#type")
    priority = fixed_concept("normal", TERMINOLOGY + "processpriority")
    walk.state(made, "priority", priority, slot="FT1#priority", initial=True)
    _created(walk, made)
    _provider(walk, bill, made)
    walk.at(first)
    causes = _diagnoses(walk, bill, made)
    done = bill.own["Procedure"]
    _list(walk, made, "procedure", [
        {"sequence": place, "procedureReference": one.reference} for place, one in enumerate(done, 1)
    ])  # fmt: skip
    coverages: list[Entry] = [
        {"sequence": place, "focal": place == 1, "coverage": one.reference}
        for place, one in enumerate(bill.own["Coverage"], 1)
    ]
    absent = {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}
    _list(walk, made, "insurance", coverages or [{"sequence": 1, "focal": True, "coverage": absent}])
    _items(walk, bill, made, causes)
    if bill.accident is not None:
        _accident(walk, bill.accident, made)


def _list(walk: Walk, made: Draft, path: str, entries: list[Entry]) -> None:
    """All entries of a list under one slot: a later message about the same claim replaces them together."""
    if entries:
        values = tuple(Said(entry, walk.places({})) for entry in entries)
        made.stated.append(Stated(path, f"FT1#{path}", values))


def _type(bill: _Bill) -> dict[str, Any]:
    """What an inpatient is charged is the institution's, all else a professional's."""
    classes = {
        said.value.get("code")
        for draft in bill.own["Encounter"]
        for stated in draft.stated
        if stated.path == "class"
        for said in stated.values
    }
    kind = "institutional" if classes & {"IMP", "ACUTE", "NONAC"} else "professional"
    return fixed_concept(kind, TERMINOLOGY + "claim-type")


def _created(walk: Walk, made: Draft) -> None:
    event = walk.message.first("EVN")
    for segment, number_ in ((event, 2), (walk.message.header, 7), (walk.message.first("FT1"), 4)):
        if segment is not None and segment[number_]:
            walk.at(segment, number_)
            when = stamp(segment.text(number_), walk)
            if when:
                walk.state(made, "created", when, {"": 1}, slot="FT1#created", initial=True)
                return
    walk.at(walk.message.header, 7)
    unknown = {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}
    walk.state(made, "_created", unknown, slot="FT1#created", initial=True)


def _provider(walk: Walk, bill: _Bill, made: Draft) -> None:
    """Who claims: the facility that performed it, else the person, else whoever sent the message."""
    for number_, convert in ((32, organization), (20, practitioner)):
        for segment in bill.charges:
            if segment[number_]:
                walk.at(segment, number_)
                found = convert(segment.first(number_), walk)
                if found and "reference" in found[0]:
                    walk.state(made, "provider", *found, slot="FT1#provider")
                    return
    header = walk.message.header
    walk.at(header, 4)
    name = clean(header.text(4).strip() or header.text(3).strip()) or walk.mapping.name
    walk.state(made, "provider", organization_draft(walk, name, "").reference, {"": 1}, slot="FT1#provider")


def _diagnoses(walk: Walk, bill: _Bill, made: Draft) -> dict[str, int]:
    """The diagnoses of the DG1, then those that only a charge names (FT1-19); and which number each code has."""
    entries: list[Entry] = []
    numbers: dict[str, int] = {}
    for condition in bill.own["Condition"]:
        entries.append({"sequence": len(entries) + 1, "diagnosisReference": condition.reference})
        for stated in condition.stated:
            for said in stated.values if stated.path == "code" else ():
                for one in said.value.get("coding", ()):
                    numbers.setdefault(one["code"], len(entries))
    for segment in bill.charges:
        for place, value in enumerate(segment.repetitions(19), 1):
            code = value.part(1).strip()
            walk.here = (segment, 19, place)
            found = concept()(value, walk) if code and code not in numbers else None
            if found:
                entries.append({"sequence": len(entries) + 1, "diagnosisCodeableConcept": found[0]})
                numbers[code] = len(entries)
    walk.at(bill.charges[0])
    _list(walk, made, "diagnosis", entries)
    return numbers


_UNKNOWN: Final = {"text": "unknown"}


def _items(walk: Walk, bill: _Bill, made: Draft, causes: dict[str, int]) -> None:
    values = []
    for sequence, segment in enumerate(bill.charges, 1):
        entry, parts = _item(walk, segment)
        numbers = dict.fromkeys(
            causes[code] for value in segment.repetitions(19) if (code := value.part(1).strip()) in causes
        )
        if numbers:
            entry["diagnosisSequence"] = list(numbers)
        if bill.own["Encounter"]:
            entry["encounter"] = [bill.own["Encounter"][0].reference]
        walk.at(segment)
        values.append(Said({"sequence": sequence, **entry}, walk.places(parts)))
    made.stated.append(Stated("item", "FT1#item", tuple(values)))


def _item(walk: Walk, segment: Segment) -> tuple[Entry, dict[str, Any]]:
    """A charge as an item: what was done (FT1-25) where it is told, else what is charged (FT1-7)."""
    entry: Entry = {}
    parts: dict[str, Any] = {}
    chosen = 25 if segment[25] else 7
    rows: tuple[tuple[int, str, Any], ...] = (
        (chosen, "productOrService", concept()),
        (41, "revenue", concept()),
        (12, "unitPrice", money),
        (11, "net", money),
        (4, "servicedPeriod" if lasts(segment) else "servicedDate", date_range if lasts(segment) else date),
    )
    for number_, path, convert in rows:
        if segment[number_] and segment[number_] != '""':
            walk.at(segment, number_)
            found = convert(segment.first(number_), walk)
            if found:
                entry[path] = found[0]
                parts[path] = Place("FT1", segment.number, number_)
    entry.setdefault("productOrService", _UNKNOWN)
    modifiers = [found[0] for value in segment.repetitions(26) if (found := concept(table="0340")(value, walk))]
    if modifiers:
        walk.read(segment, 26)
        entry["modifier"] = modifiers
        parts["modifier"] = Place("FT1", segment.number, 26)
    times = number(segment.text(10))
    if times is not None:
        entry["quantity"] = {"value": times}
        parts["quantity.value"] = Place("FT1", segment.number, 10)
    return entry, parts


def _accident(walk: Walk, segment: Segment, made: Draft) -> None:
    """An accident whose day is told: R4 has none without."""
    walk.at(segment, 1)
    when = date(segment.first(1), walk) if segment[1] else None
    if when is None:
        return
    found: dict[str, Any] = {"date": when[0]}
    if segment[2]:
        walk.at(segment, 2)
        kind = concept(table="0050")(segment.first(2), walk)
        if kind:
            found["type"] = kind[0]
    place = clean(segment.first(3).whole.strip()) if segment[3] else ""
    if place:
        walk.read(segment, 3)
        found["locationAddress"] = {"text": place}
    walk.at(segment, 1)
    walk.state(made, "accident", found, {"date": 1}, slot="ACC")
