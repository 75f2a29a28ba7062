"""ORC, OBR, TQ1, SPM: ServiceRequest, DiagnosticReport, Specimen. docs/hl7.md, "Results" """

from __future__ import annotations

from typing import Any, Final

from hl7_gateway.conversion.datatypes.codes import code, concept
from hl7_gateway.conversion.datatypes.identifiers import ei, ei_pair
from hl7_gateway.conversion.datatypes.quantities import cq, exact
from hl7_gateway.conversion.datatypes.references import practitioner
from hl7_gateway.conversion.datatypes.simple import clean, date_time, period
from hl7_gateway.conversion.draft import DRAFT, Draft
from hl7_gateway.conversion.families.clinical import key_of
from hl7_gateway.conversion.families.ordering import ordering_facility, timed
from hl7_gateway.conversion.families.provenances import told_of_the_order
from hl7_gateway.conversion.families.required import known_of
from hl7_gateway.conversion.maps.orders import OBR_REPORT, OBR_REQUEST, ORC_REQUEST, PRIORITIES, noted
from hl7_gateway.conversion.maps.results import SPM_SPECIMEN
from hl7_gateway.conversion.vocabulary import vocabulary
from hl7_gateway.conversion.walk import Walk
from hl7_gateway.message import Segment, Value

_DONE: Final = frozenset({"F", "C"})


def orc(walk: Walk, segment: Segment) -> None:
    """The control of the order that comes: it says nothing by itself. What was before it is over."""
    for name in _OVER:
        walk.current.pop(name, None)
    for name in ("OBR", "RXO", "RXE", "RXD", "TQ1"):
        walk.segments.pop(name, None)
    walk.observations.clear()


_OVER: Final = (
    "ServiceRequest", "DiagnosticReport", "Observation", "MedicationRequest", "MedicationDispense",
    "MedicationAdministration", "Immunization", "noted",
)  # fmt: skip


def orc_after_obr(walk: Walk, segment: Segment) -> None:
    """The control of the order that is there: since version 2.5 an OUL has it after the OBR."""
    obr = walk.segments.get("OBR")
    if obr is None or walk.event == "R21":
        orc(walk, segment)
        return
    order, made = walk.current.get("ServiceRequest"), walk.current.get("DiagnosticReport")
    if order is None:
        order = request(walk, obr, mentioned=True)
        if order is not None and made is not None:
            walk.state(made, "basedOn", order.reference, slot="OBR#basedOn")
    elif not walk.count(("ORC", order.name)):
        ORC_REQUEST.apply(segment, order, walk)
        order.stated = [said for said in order.stated if said.slot != "ORC-5"]
        _request_status(walk, obr, segment, order, mentioned=True)
        if not order.stub:
            told_of_the_order(walk, segment, order)
    if made is not None:
        _numbers_of_the_control(walk, obr, made)
    # The OBR that comes next has a control of its own.
    walk.segments.pop("ORC", None)


def order_numbers(walk: Walk, obr: Segment | None, orc: Segment | None) -> list[tuple[Value, str]]:
    """Placer and filler number of an order, with their types."""
    found = []
    for field, kind in ((2, "PLAC"), (3, "FILL")):
        for segment in (obr, orc):
            value = segment.first(field) if segment is not None else None
            if value is not None and value.part(1).strip():
                walk.at(segment, field) if segment is not None else None
                found.append((value, kind))
                break
    return found


def request(walk: Walk, obr: Segment, *, mentioned: bool) -> Draft | None:
    """The order of an OBR and the ORC before it. ``mentioned``: by results, which change no order that is there."""
    patient = walk.current.get("Patient")
    if patient is None:
        return None
    orc_segment = walk.segments.get("ORC")
    numbers = order_numbers(walk, obr, orc_segment)
    known = [pair for value, _ in numbers if (pair := ei_pair(value, walk))]
    if mentioned and not known:
        # Results without an order number tell of an order nothing but what the report says already.
        return None
    if mentioned:
        made, new = walk.stub("ServiceRequest", (known[0],))
        if not new:
            walk.current["ServiceRequest"] = made
            return made
    else:
        made = walk.draft("ServiceRequest")
    walk.current["ServiceRequest"] = made
    made.identifiers = known
    made.natural = _without_number(walk, obr, orc_segment, patient)
    for value, kind in numbers:
        walk.at(obr, 2 if kind == "PLAC" else 3)
        identifier = ei(kind)(value, walk)
        if identifier:
            walk.state(made, "identifier", *identifier, slot=f"ORC-{2 if kind == 'PLAC' else 3}")
    OBR_REQUEST.apply(obr, made, walk)
    if known_of(made, "orderDetail") and not known_of(made, "code"):
        # R4 has no details of what is not named.
        walk.at(obr)
        walk.state(made, "code", {"text": "unknown"}, slot="OBR-4", initial=True)
    if orc_segment is not None:
        ORC_REQUEST.apply(orc_segment, made, walk)
        if orc_segment[12] and obr[16]:
            made.stated = [said for said in made.stated if said.slot != "OBR-16"]
        if orc_segment[21] or orc_segment[24]:
            ordering_facility(walk, orc_segment, made)
    if not mentioned and walk.message.first("TQ1") is None:
        _quantity_and_timing(walk, obr, orc_segment, made)
    _about(walk, obr, made, patient)
    _request_status(walk, obr, orc_segment, made, mentioned)
    if orc_segment is not None and not mentioned:
        told_of_the_order(walk, orc_segment, made)
    return made


def _without_number(walk: Walk, obr: Segment, control: Segment | None, patient: Draft) -> tuple[str, ...]:
    """What an order is known by that has no number; those alike in a message are told apart by their order in it."""
    group = control.text(4).strip() if control is not None else ""
    key = ("OBR", DRAFT + patient.name, key_of(obr, 4), obr.text(7).strip(), *([group] if group else []))
    again = walk.count(key)
    return (*key, str(again)) if again else key


def _quantity_and_timing(walk: Walk, obr: Segment, control: Segment | None, made: Draft) -> None:
    """When and how much, as versions before 2.5 tell it in a field (TQ)."""
    segment, field = (control, 7) if control is not None and control[7] else (obr, 27)
    if not segment[field]:
        return
    walk.at(segment, field)
    value = segment.first(field)
    measured = cq(value.component(1), walk) if value.component(1).raw else None
    if measured:
        walk.state(made, "quantityQuantity", *measured)
    lasting = period(value.part(4), value.part(5), walk, (4, 5)) if not obr[6] else None
    if lasting and len(lasting[0]) > 1:
        walk.state(made, "occurrencePeriod", *lasting, slot="OBR-6")
    elif lasting and "start" in lasting[0]:
        walk.state(made, "occurrenceDateTime", lasting[0]["start"], {"": 4}, slot="OBR-6")
    if value.part(6).strip() in PRIORITIES and not obr[5]:
        found = code("ExtendedPriorityCodes")(value.component(6), walk)
        if found:
            walk.state(made, "priority", found[0], {"": 6})
    said = clean(value.part(8).strip())
    if said:
        walk.gather(made, "note", {"text": said}, {"text": 8}, "TQ-8")


def _about(walk: Walk, obr: Segment, made: Draft, patient: Draft) -> None:
    walk.at(obr)
    walk.state(made, "subject", patient.reference, slot="OBR#subject")
    encounter = walk.current.get("Encounter")
    if encounter is not None:
        walk.state(made, "encounter", encounter.reference, slot="OBR#encounter")
    intent = {"G": "reflex-order"}.get(obr.text(11).strip(), "order")
    walk.read(obr, 11)
    walk.state(made, "intent", intent, slot="OBR-11")


def _request_status(walk: Walk, obr: Segment, orc_segment: Segment | None, made: Draft, mentioned: bool) -> None:
    if orc_segment is not None:
        for field, name in ((5, "OrderStatus"), (1, "OrderControlCode[ServiceRequest.status]")):
            target = vocabulary(name).get(orc_segment.text(field).strip())
            if target is not None and not (mentioned and field == 1):
                walk.at(orc_segment, field)
                walk.state(made, "status", target.code, {"": 1}, slot="ORC-5")
                return
    walk.at(obr, 25)
    walk.state(made, "status", "completed" if obr.text(25) in _DONE else "active", slot="ORC-5", initial=True)


def report(walk: Walk, obr: Segment) -> Draft | None:
    """The report of an OBR: known by its filler number (else the placer's) and what was asked for."""
    patient = walk.current.get("Patient")
    if patient is None:
        return None
    made = walk.draft("DiagnosticReport")
    walk.current["DiagnosticReport"] = made
    numbers = {kind: ei_pair(value, walk) for value, kind in order_numbers(walk, obr, walk.segments.get("ORC"))}
    known = numbers.get("FILL") or numbers.get("PLAC")
    if known:
        made.natural = ("OBR", *known, key_of(obr, 4))
    else:
        made.natural = ("OBR", DRAFT + patient.name, key_of(obr, 4), obr.text(7).strip())
    OBR_REPORT.apply(obr, made, walk)
    _numbers_of_the_control(walk, obr, made)
    if not known_of(made, "code"):
        walk.state(made, "code", {"text": "unknown"}, slot="OBR-4", initial=True)
    _times(walk, obr, made)
    walk.at(obr)
    walk.state(made, "subject", patient.reference, slot="OBR#subject")
    for path, name in (("encounter", "Encounter"), ("basedOn", "ServiceRequest"), ("specimen", "Specimen")):
        other = walk.current.get(name)
        if other is not None:
            walk.state(made, path, other.reference, slot=f"OBR#{path}")
    walk.at(obr, 25)
    target = vocabulary("ResultStatus[Non-Queries]").get(obr.text(25).strip())
    if target is not None:
        walk.state(made, "status", target.code, {"": 1}, slot="OBR-25")
    elif obr[25]:
        walk.warn("This result status is not in table 0123.")
        walk.state(made, "status", "unknown", slot="OBR-25", initial=True)
    return made


def _numbers_of_the_control(walk: Walk, obr: Segment, made: Draft) -> None:
    """Numbers that only the ORC has."""
    control = walk.segments.get("ORC")
    if control is None:
        return
    for field, kind in ((2, "PLAC"), (3, "FILL")):
        if not obr[field] and control[field]:
            walk.at(control, field)
            identifier = ei(kind)(control.first(field), walk)
            if identifier:
                walk.state(made, "identifier", *identifier, slot=f"OBR-{field}")


def _times(walk: Walk, obr: Segment, made: Draft) -> None:
    if not obr[8]:
        return
    timed(walk, obr, (7, 8), made, "effective", "OBR-7")


def finish_reports(walk: Walk) -> None:
    """Reports whose status was not sent are what their results are."""
    by_name = {draft.name: draft for draft in walk.conversion.drafts}
    for draft in walk.conversion.drafts:
        if draft.type != "DiagnosticReport" or any(said.path == "status" for said in draft.stated):
            continue
        results = [said for stated in draft.stated if stated.path == "result" for said in stated.values]
        statuses = {
            stated.values[0].value
            for said in results
            for stated in by_name[said.value["reference"].removeprefix(DRAFT)].stated
            if stated.path == "status" and stated.values
        }
        done = bool(statuses) and statuses <= {"final", "corrected", "amended", "cancelled"}
        walk.at(walk.message.header)
        walk.state(
            draft, "status", "final" if done else "partial" if statuses else "unknown", slot="OBR-25", initial=True
        )


def specimen_of_obr(walk: Walk, obr: Segment) -> Draft | None:
    """What older versions say of a specimen in the OBR itself; nothing where an SPM says it."""
    patient, owner = (
        walk.current.get("Patient"),
        walk.current.get("DiagnosticReport") or walk.current.get("ServiceRequest"),
    )
    if patient is None or owner is None or not (obr[15] or obr[10] or obr[14] or obr[9]) or walk.message.first("SPM"):
        return None
    made = walk.draft("Specimen")
    walk.current["Specimen"] = made
    made.natural = ("OBR-15", DRAFT + owner.name)
    walk.at(obr)
    walk.state(made, "subject", patient.reference, slot="OBR#subject")
    source = obr.first(15).component(1)
    if source:
        walk.at(obr, 15)
        kind = _subconcept(source, walk)
        if kind:
            walk.state(made, "type", kind, {"": 1})
    rows: tuple[tuple[int, str, Any], ...] = (
        (7, "collection.collectedDateTime", date_time),
        (9, "collection.quantity", exact),
        (10, "collection.collector", practitioner),
        (14, "receivedTime", date_time),
        (39, "note", noted),
    )
    for field, path, convert in rows:
        if obr[field]:
            walk.at(obr, field)
            found = convert(obr.first(field), walk)
            if found:
                walk.state(made, path, *found)
    walk.at(obr)
    walk.state(owner, "specimen", made.reference, slot="OBR#specimen")
    return made


def _subconcept(value: Value, walk: Walk) -> dict[str, Any] | None:
    """A CWE that is a component, with its parts as subcomponents."""
    found = concept("SpecimenType", "0070")(value, walk)
    return found[0] if found else None


def spm(walk: Walk, segment: Segment) -> None:
    """A specimen: of the results before it, and of the orders after it."""
    patient = walk.current.get("Patient")
    if patient is None:
        return
    made = walk.draft("Specimen")
    known = [
        pair
        for component in (2, 1)
        if (pair := ei_pair(segment.first(2).component(component), walk)) is not None
    ]  # fmt: skip
    made.identifiers = known
    owner = walk.current.get("DiagnosticReport") or walk.current.get("ServiceRequest") or patient
    made.natural = ("SPM", DRAFT + owner.name, segment.text(1).strip())
    SPM_SPECIMEN.apply(segment, made, walk)
    walk.at(segment)
    walk.state(made, "subject", patient.reference, slot="SPM#subject")
    for name in ("DiagnosticReport", "ServiceRequest"):
        other = walk.current.get(name)
        if other is not None and not (other.stub and name == "ServiceRequest"):
            walk.gather(other, "specimen", made.reference, {"": 2}, "SPM")
    for observation in walk.observations:
        walk.state(observation, "specimen", made.reference, slot="OBX#specimen")
    walk.current["Specimen"] = walk.current["noted"] = made
