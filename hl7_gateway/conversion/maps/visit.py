"""PV1, PV2: the visit. https://hl7.org/fhir/uv/v2mappings/segment_maps.html"""

from __future__ import annotations

from typing import Final

from hl7_gateway.conversion.datatypes.codes import coding, concept, fixed_concept
from hl7_gateway.conversion.datatypes.identifiers import cx, pair
from hl7_gateway.conversion.datatypes.references import destination, location, named_organization, practitioner
from hl7_gateway.conversion.datatypes.simple import clean, date_time, decimal, text
from hl7_gateway.conversion.table import Convert, SegmentMap, extension, many, one, within
from hl7_gateway.conversion.vocabulary import TERMINOLOGY
from hl7_gateway.conversion.walk import Converted, Walk
from hl7_gateway.message import Value

_PARTICIPATION: Final = TERMINOLOGY + "v3-ParticipationType"


def _participant(kind: str, label: str) -> Convert:
    """A participant with the part that the field means."""
    return within("individual", practitioner, type=[fixed_concept(kind, _PARTICIPATION, label)])


def _where(status: str) -> Convert:
    return within("location", location, status=status)


def _assigned(value: Value, walk: Walk) -> Converted | None:
    """The assigned location: planned before the patient comes, left once the patient has gone."""
    if walk.event == "A05" or walk.event == "A14" or walk.here[0].text(2) == "P":
        return _where("planned")(value, walk)
    return _where("completed" if walk.event == "A03" else "active")(value, walk)


def _days(value: Value, walk: Walk) -> Converted | None:
    found = decimal(value, walk)
    if found is None:
        return None
    return {"value": found[0], "unit": "days", "system": "http://unitsofmeasure.org", "code": "d"}, {"value": 0}


def _protected(value: Value, walk: Walk) -> Converted | None:
    """A visit that is protected (Y) is restricted: https://terminology.hl7.org/CodeSystem-v3-Confidentiality.html"""
    if value.text.strip().upper() != "Y":
        return None
    return {"system": TERMINOLOGY + "v3-Confidentiality", "code": "R", "display": "restricted"}, {"code": 0}


_DESCRIPTION: Final = "http://hl7.org/fhir/StructureDefinition/resource-instance-description"


def _episode(value: Value, walk: Walk) -> Converted | None:
    """The episode that the visit is part of, which is made where it is not there, with its description (PV1-53)."""
    known, identifier, patient = pair(value, walk), cx()(value, walk), walk.current.get("Patient")
    if known is None or identifier is None or patient is None:
        return None
    made, new = walk.stub("EpisodeOfCare", known)
    if new:
        made.identifiers = [known]
        walk.state(made, "identifier", *identifier, slot="PV1-54#identifier")
        walk.state(made, "status", "active", slot="PV1-54#status")
        walk.state(made, "patient", patient.reference, slot="PV1-54#patient")
        said = clean(walk.here[0].text(53).strip())
        if said:
            walk.state(made, "extension", {"url": _DESCRIPTION, "valueString": said}, slot="PV1-53")
    return made.reference, {"": 1}


_TEMPORARY: Final = "http://hl7.org/fhir/StructureDefinition/subject-locationClassification"

PV1_ENCOUNTER: Final = SegmentMap(
    "PV1",
    "Encounter",
    [
        one(2, "class", coding("PatientClass[EncounterClass]", "0004")),
        one(3, "location", _assigned),
        one(4, "type", concept("AdmissionType", "0007")),
        one(5, "hospitalization.preAdmissionIdentifier", cx()),
        one(6, "location", _where("completed")),
        many(7, "participant", _participant("ATND", "attender")),
        many(8, "participant", _participant("REF", "referrer")),
        many(9, "participant", _participant("CON", "consultant")),
        one(10, "serviceType", concept("HospitalService", "0069")),
        one(11, "location", within("location", location, status="active",
            extension=[{"url": _TEMPORARY, "valueCodeableConcept": {"text": "temporary"}}])),
        one(13, "hospitalization.reAdmission", concept("ReadmissionIndicator", "0092")),
        one(14, "hospitalization.admitSource", concept(table="0023")),
        many(15, "hospitalization.specialArrangement", concept("AmbulatoryStatus", "0009")),
        one(16, "hospitalization.specialCourtesy", concept("VIPIndicator", "0099")),
        many(17, "participant", _participant("ADM", "admitter")),
        one(18, "type", concept(table="0018")),
        one(19, "identifier", cx("VN")),
        one(36, "hospitalization.dischargeDisposition", concept("DischargeDisposition", "0112")),
        one(37, "hospitalization.destination", destination),
        one(38, "hospitalization.dietPreference", concept("DietType", "0114")),
        one(39, "serviceProvider", named_organization),
        one(42, "location", _where("reserved")),
        one(43, "location", _where("completed")),
        one(44, "period.start", date_time),
        one(45, "period.end", date_time),
        one(50, "identifier", cx()),
        many(52, "participant", _participant("PART", "Participation")),
        one(54, "episodeOfCare", _episode, reads=(53,)),
    ],
    ignored=(1,),
)  # fmt: skip

_R5: Final = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Encounter."

PV2_ENCOUNTER: Final = SegmentMap(
    "PV2",
    "Encounter",
    [
        one(1, "location", _where("planned")),
        one(3, "reasonCode", concept()),
        one(8, "extension", extension(_R5 + "plannedStartDate", "valueDateTime", date_time)),
        one(9, "extension", extension(_R5 + "plannedEndDate", "valueDateTime", date_time)),
        one(11, "length", _days),
        one(12, "reasonCode", within("text", text)),
        many(13, "participant", _participant("REF", "referrer")),
        one(22, "meta.security", _protected),
        one(25, "priority", concept("EncounterPriority", "0217")),
        one(38, "extension", extension("encounter-modeOfArrival", "valueCoding", coding("ModeOfArrivalCode", "0430"))),
    ],
)
