"""Encounter as PV1 and PV2. https://hl7.org/fhir/uv/v2mappings/segment_maps.html"""

from __future__ import annotations

from typing import Any, Final

from hl7_gateway.conversion.vocabulary import TERMINOLOGY
from hl7_gateway.outbound.building import places
from hl7_gateway.outbound.building.sources import Resource, Sources, found
from hl7_gateway.outbound.building.text import Fields, repetitions, text
from hl7_gateway.outbound.building.writer import Writer

_PARTS: Final = {"ATND": 7, "REF": 8, "CON": 9, "ADM": 17}
"""v3-ParticipationType -> field of PV1; who has another part is in PV1-52."""

_R5: Final = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Encounter."


def pv1(
    encounter: Resource, sources: Sources, writer: Writer, *, event: str = "", before: Resource | None = None
) -> Fields:
    """The fields of PV1. ``before`` is the version before, by which a transfer knows where from."""
    stay: dict[str, Any] = encounter.get("hospitalization", {})
    numbers = _numbers(encounter, writer)
    here = places.planned(encounter) if event == "A05" else places.current(encounter, before)
    left = places.current(before) if event == "A02" and before is not None else places.left(encounter)
    period = encounter.get("period", {})
    provider = found(sources, encounter.get("serviceProvider"), encounter) or {}
    fields = {
        1: "1",
        2: writer.concept(encounter.get("class"), "PV1-2", "0004", "PatientClass[EncounterClass]") or "N",
        3: places.pl(found(sources, here, encounter), sources),
        4: writer.concept(_type(encounter, "0007"), "PV1-4", "0007", "AdmissionType"),
        5: writer.cx(stay.get("preAdmissionIdentifier", {})),
        6: places.pl(found(sources, left, encounter), sources),
        10: writer.concept(encounter.get("serviceType"), "PV1-10", "0069", "HospitalService"),
        14: writer.concept(stay.get("admitSource"), "PV1-14", "0023"),
        15: writer.concepts(stay.get("specialArrangement", ()), "PV1-15", "0009"),
        18: writer.concept(_type(encounter, ""), "PV1-18", "0018"),
        19: numbers[0],
        36: writer.concept(stay.get("dischargeDisposition"), "PV1-36", "0112"),
        39: text(provider.get("name", "") or provider.get("display", "")),
        44: writer.moment(period.get("start", "")),
        45: writer.moment(period.get("end", "")),
        50: numbers[1] if len(numbers) > 1 else "",
    }
    return fields | _participants(encounter, sources, writer)


def _type(encounter: Resource, table: str) -> Resource | None:
    """The type of an Encounter that is of HL7 table 0007, or the first that is of another one."""
    of_admission = f"{TERMINOLOGY}v2-0007"
    for one in encounter.get("type", ()):
        if any(coding.get("system") == of_admission for coding in one.get("coding", ())) == bool(table):
            return dict(one)
    return None


def _numbers(encounter: Resource, writer: Writer) -> list[str]:
    known = [one for one in encounter.get("identifier", ()) if one.get("use") != "old"]
    known.sort(key=lambda one: writer.kind_of(one) != "VN")
    return [number for one in known if (number := writer.cx(one, "VN"))] or [writer.cx(writer.own(encounter), "VN")]


def _participants(encounter: Resource, sources: Sources, writer: Writer) -> Fields:
    by_field: dict[int, list[str]] = {}
    for one in encounter.get("participant", ()):
        person = found(sources, one.get("individual"), encounter)
        if person is None:
            continue
        codes = [coding.get("code") for kind in one.get("type", ()) for coding in kind.get("coding", ())]
        fields = [_PARTS[code] for code in codes if code in _PARTS] or [52]
        for field in fields:
            by_field.setdefault(field, []).append(writer.xcn(person))
    return {field: repetitions(many) for field, many in by_field.items()}


def pv2(encounter: Resource, sources: Sources, writer: Writer, *, event: str = "") -> Fields:
    """The fields of PV2, none where there is nothing to tell."""
    expected = {one.get("url"): one.get("valueDateTime", "") for one in encounter.get("extension", ())}
    ahead = None if event == "A05" else places.planned(encounter)
    reason = next(iter(encounter.get("reasonCode", ())), None)
    return {
        1: places.pl(found(sources, ahead, encounter), sources),
        3: writer.concept(reason, "PV2-3"),
        8: writer.moment(expected.get(_R5 + "plannedStartDate", "")),
        9: writer.moment(expected.get(_R5 + "plannedEndDate", "")),
        25: writer.concept(encounter.get("priority"), "PV2-25", "0217"),
    }
