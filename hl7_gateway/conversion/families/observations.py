"""OBX, NTE: Observation. docs/hl7.md, "Results" """

from __future__ import annotations

from typing import Any, Final

from hl7_gateway import timestamps
from hl7_gateway.conversion.datatypes.codes import concept
from hl7_gateway.conversion.datatypes.quantities import numeric_range, quantity, structured, unit
from hl7_gateway.conversion.datatypes.references import practitioner
from hl7_gateway.conversion.datatypes.simple import clean, period, stamp
from hl7_gateway.conversion.draft import DRAFT, Draft
from hl7_gateway.conversion.families.attached import observed_document
from hl7_gateway.conversion.families.clinical import key_of
from hl7_gateway.conversion.families.required import known_of
from hl7_gateway.conversion.maps.results import OBX_OBSERVATION
from hl7_gateway.conversion.vocabulary import TERMINOLOGY, vocabulary
from hl7_gateway.conversion.walk import Parts, Walk
from hl7_gateway.message import Segment
from hl7_gateway.problems import Place

_TEXTS: Final = frozenset({"ST", "TX", "FT", "VR", "ID", "SI", "GTS", "UR"})
_CODED: Final = frozenset({"CE", "CWE", "CNE", "CF", "IS"})
_TIMES: Final = frozenset({"DT", "TS", "DTM"})

VALUES: Final = (
    "valueQuantity", "valueCodeableConcept", "valueString", "valueBoolean", "valueInteger", "valueRange", "valueRatio",
    "valueSampledData", "valueTime", "valueDateTime", "valuePeriod",
)  # fmt: skip
"""What OBX-5 may have become, whichever it was."""


def obx(walk: Walk, segment: Segment) -> Draft | None:
    """A result or another observation, of the report, order, or visit that it stands under."""
    patient = walk.current.get("Patient")
    if patient is None or not (segment[3] or segment[5]):
        return None
    observation = walk.draft("Observation")
    walk.current["Observation"] = observation
    walk.current["noted"] = observation
    walk.observations.append(observation)
    _identify(walk, segment, observation, patient)
    OBX_OBSERVATION.apply(segment, observation, walk)
    walk.at(segment)
    if not known_of(observation, "code"):
        walk.state(observation, "code", {"text": "unknown"}, slot="OBX-3", initial=True)
    walk.state(observation, "subject", patient.reference, slot="OBX#subject")
    encounter = walk.current.get("Encounter")
    if encounter is not None:
        walk.state(observation, "encounter", encounter.reference, slot="OBX#encounter")
    _status(walk, segment, observation)
    value_of(walk, segment, observation)
    observed_document(walk, segment, observation)
    _range(walk, segment, observation)
    _under_a_report(walk, segment, observation)
    return observation


def _identify(walk: Walk, segment: Segment, observation: Draft, patient: Draft) -> None:
    """By the report that it belongs to, OBX-3 and OBX-4; those alike in a report are told apart by their order."""
    owner = walk.current.get("DiagnosticReport") or walk.current.get("ServiceRequest") or walk.current.get("Encounter")
    key: tuple[str, ...] = ("OBX", DRAFT + (owner or patient).name, key_of(segment, 3), segment.first(4).raw.strip())
    if owner is None:
        key = (*key, segment.text(14).strip())
    again = walk.count(key)
    observation.natural = (*key, str(again)) if again else key


def _status(walk: Walk, segment: Segment, observation: Draft) -> None:
    targets = vocabulary("ObservationResultStatusCodesInterpretation")
    sent = segment.text(11).strip().upper()
    target = targets.get(sent)
    walk.at(segment, 11)
    if target is not None:
        walk.state(observation, "status", target.code, {"": 1}, slot="OBX-11")
    else:
        if sent:
            walk.warn("This result status is not in table 0085.")
        walk.state(observation, "status", "unknown" if sent else "final", slot="OBX-11", initial=True)
    if sent == "N" and not segment[5]:
        absent = {"coding": [{"system": TERMINOLOGY + "data-absent-reason", "code": "not-asked"}]}
        walk.state(observation, "dataAbsentReason", absent, slot="OBX-11#absent")


def value_of(walk: Walk, segment: Segment, observation: Draft) -> None:
    """Have an Observation say OBX-5, of the type that OBX-2 names; all of its repetitions are kept."""
    walk.at(segment, 5)
    sent = [value for value in segment.repetitions(5) if value.raw and not value.null]
    if segment[5] == '""':
        for path in VALUES:
            walk.take_back(observation, path, "OBX-5")
        return
    if not sent:
        return
    kind = segment.text(2).strip().upper() or "ST"
    found = _coded(walk, segment) if kind in _CODED else None
    if found is None and len(sent) == 1:
        found = _single(walk, segment, kind)
    if found is None and kind not in ("ED", "RP"):
        lines = [clean(value.raw and _plain(value.whole)) for value in sent]
        said = "\n".join(line for line in lines if line)
        found = ("valueString", said, {"": 0}) if said else None
    if found is None or not found[1]:
        # White space alone, in one of its parts, is no text.
        return
    path, value, parts = found
    walk.state(observation, path, value, parts, slot="OBX-5")


def _plain(said: str) -> str:
    return said.strip("\r\n")


Found = tuple[str, Any, Parts]


def _coded(walk: Walk, segment: Segment) -> Found | None:
    """Codes: the first repetition is the concept, more of them are further codings, which are kept as such."""
    convert = concept()
    merged: dict[str, Any] = {}
    parts: Parts = {}
    for number, value in enumerate(segment.repetitions(5), 1):
        walk.here = (segment, 5, number)
        one = convert(value, walk) if value.raw and not value.null else None
        if one is None:
            continue
        said, inner = one
        codings = merged.setdefault("coding", [])
        for path, part in inner.items():
            if path.startswith("coding["):
                index, _, rest = path[7:].partition("]")
                component = part if isinstance(part, int) else 0
                place = Place("OBX", segment.number, 5, number, component)
                parts[f"coding[{len(codings) + int(index)}]{rest}"] = place
        codings.extend(said.get("coding", []))
        if said.get("text"):
            merged["text"] = f"{merged['text']}; {said['text']}" if "text" in merged else said["text"]
            parts["text"] = Place("OBX", segment.number, 5, number)
    if not merged.get("coding"):
        merged.pop("coding", None)
    walk.here = (segment, 5, 1)
    return ("valueCodeableConcept", merged, parts) if merged else None


def _single(walk: Walk, segment: Segment, kind: str) -> Found | None:
    value = next(value for value in segment.repetitions(5) if value.raw)
    units = unit(segment.first(6), walk) if segment[6] else {}
    unit_parts: Parts = {element: Place("OBX", segment.number, 6, 1) for element in units}
    if kind in ("NM", "NA") or (kind == "SN" and value.count == 1):
        measured = quantity(value.text)
        if measured is None:
            walk.warn("This is not a number; it was taken over as a text.")
            return None
        return "valueQuantity", {**measured, **units}, {"value": 1, **unit_parts}
    if kind == "SN":
        return _structured(walk, segment, units, unit_parts)
    if kind in _TIMES:
        moment = stamp(value.text, walk)
        return ("valueDateTime", moment, {"": 1}) if moment else None
    if kind == "TM":
        try:
            return "valueTime", timestamps.time(value.text), {"": 1}
        except timestamps.NotATime as error:
            walk.warn(f"{error.said} It was taken over as a text.")
            return None
    if kind == "DR":
        lasting = period(value.part(1), value.part(2), walk, (1, 2))
        return ("valuePeriod", *lasting) if lasting else None
    if kind == "NR":
        limits = numeric_range(f"{value.part(1)}-{value.part(2)}")
        return ("valueRange", {side: {**limit, **units} for side, limit in limits.items()}, {"": 0}) if limits else None
    if kind in ("CX", "EI", "XCN", "XPN", "XAD", "XTN", "XON", "PL", "HD"):
        return "valueString", clean(" ".join(part for part in _components(value.raw, segment) if part)), {"": 0}
    return None


def _components(raw: str, segment: Segment) -> list[str]:
    value = segment.first(5)
    return [value.part(number).strip() for number in range(1, value.count + 1)]


def _structured(walk: Walk, segment: Segment, units: dict[str, str], unit_parts: Parts) -> Found | None:
    element, content = structured(segment.first(5))
    if not element:
        return None
    if element == "Quantity":
        return "valueQuantity", {**content, **units}, {"value": 2, "comparator": 1, **unit_parts}
    if element == "Range":
        return "valueRange", {side: {**limit, **units} for side, limit in content.items()}, {"low": 2, "high": 4}
    if element == "Ratio":
        return "valueRatio", content, {"numerator": 2, "denominator": 4}
    label = units.get("unit", "")
    return "valueString", f"{content} {label}".strip(), {"": 0}


def _range(walk: Walk, segment: Segment, observation: Draft) -> None:
    walk.at(segment, 7)
    raw = segment[7]
    if raw == '""':
        walk.take_back(observation, "referenceRange", "OBX-7")
        return
    said = clean(segment.first(7).whole.strip()) if raw else ""
    if not said:
        return
    found: dict[str, Any] = {"text": said}
    limits = numeric_range(said)
    if limits and segment.text(2).strip() in ("NM", "SN", "NA"):
        units = unit(segment.first(6), walk) if segment[6] else {}
        found = {side: {**limit, **units} for side, limit in limits.items()} | found
    walk.state(observation, "referenceRange", found, slot="OBX-7")


def _under_a_report(walk: Walk, segment: Segment, observation: Draft) -> None:
    """What the report knows of its results: its order, specimen and time; and which results it has."""
    walk.at(segment)
    report = walk.current.get("DiagnosticReport")
    if report is not None:
        walk.gather(report, "result", observation.reference, {"": 0}, "OBX")
    order = walk.current.get("ServiceRequest")
    if order is not None and report is not None:
        walk.state(observation, "basedOn", order.reference, slot="OBX#basedOn")
    specimen = walk.current.get("Specimen")
    if specimen is not None:
        walk.state(observation, "specimen", specimen.reference, slot="OBX#specimen")
    obr = walk.segments.get("OBR")
    if obr is not None and not segment[14] and obr[7]:
        walk.at(obr, 7)
        moment = stamp(obr.text(7), walk)
        if moment:
            walk.state(observation, "effectiveDateTime", moment, {"": 1}, slot="OBX-14", initial=True)


def nte(walk: Walk, segment: Segment) -> None:
    """A note on what stands before it: its lines are one text."""
    walk.read(segment, 1, 2, 4)
    field = 3
    if not segment[3] and " " in segment[2].strip():
        # Some senders have the text where its source belongs, which is a code.
        field = 2
    said = "\n".join(line for value in segment.repetitions(field) if (line := clean(_plain(value.whole))))
    owner = walk.current.get("noted")
    if owner is None or not said:
        return
    walk.at(segment, field)
    path = "comment" if owner.type == "Appointment" else "conclusion" if owner.type == "DiagnosticReport" else "note"
    if path == "note":
        _note(walk, segment, owner, said)
    else:
        walk.continue_text(owner, path, said, "NTE-3")


def _note(walk: Walk, segment: Segment, owner: Draft, said: str) -> None:
    found: dict[str, Any] = {"text": said}
    parts: Parts = {"text": Place("NTE", segment.number, 3)}
    author, at = segment.first(5), segment.text(6)
    if author:
        walk.at(segment, 5)
        by = practitioner(author, walk)
        if by and "reference" in by[0]:
            found["authorReference"] = by[0]
            parts["authorReference"] = Place("NTE", segment.number, 5)
        elif by:
            found["authorString"] = by[0]["display"]
            parts["authorString"] = Place("NTE", segment.number, 5)
    if at:
        walk.at(segment, 6)
        moment = stamp(at, walk)
        if moment:
            found["time"] = moment
    walk.at(segment, 3)
    if not author and not at:
        walk.continue_note(owner, found, parts, "NTE")
    else:
        walk.gather(owner, "note", found, parts, "NTE")
