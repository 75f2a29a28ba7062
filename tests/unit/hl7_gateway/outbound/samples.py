"""Resources that destinations are told of in tests. https://hl7.org/fhir/R4/"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from hl7_gateway.outbound.building.message import Change, Made, build
from hl7_gateway.outbound.rules import Configuration

Resource = dict[str, Any]

TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"


def _type(code: str) -> Resource:
    return {"coding": [{"system": TERMINOLOGY + "v2-0203", "code": code}]}


PATIENT: Resource = {
    "resourceType": "Patient",
    "id": "p",
    "identifier": [
        {"system": "urn:oid:1.2.3", "value": "77", "type": _type("MR")},
        {"system": "http://lab.example/ids", "value": "A|b^c"},
        {"system": "urn:oid:1.2.3", "value": "66", "use": "old"},
    ],
    "name": [{"use": "official", "family": "O'Neil & Sons", "given": ["Al", "B"], "prefix": ["Dr"]}],
    "birthDate": "1961-06",
    "gender": "other",
    "telecom": [
        {"system": "phone", "value": "555 1", "use": "home"},
        {"system": "email", "value": "a@b.example", "use": "work"},
    ],
    "address": [
        {"use": "home", "line": ["1 St", "Apt 2"], "city": "X", "postalCode": "1", "country": "USA", "district": "Y"}
    ],
    "maritalStatus": {"coding": [{"system": TERMINOLOGY + "v3-MaritalStatus", "code": "M"}]},
    "deceasedBoolean": False,
    "contact": [{"name": {"family": "Next", "given": ["Of"]}, "telecom": [{"system": "phone", "value": "9"}]}],
}  # fmt: skip
WARD: Resource = {
    "resourceType": "Location", "id": "ward", "name": "ICU", "physicalType": {"coding": [{"code": "wa"}]},
}  # fmt: skip
BED: Resource = {
    "resourceType": "Location", "id": "bed", "name": "Bed 3", "physicalType": {"coding": [{"code": "bd"}]},
    "partOf": {"reference": "Location/ward"},
}  # fmt: skip
DOCTOR: Resource = {
    "resourceType": "Practitioner", "id": "d", "name": [{"family": "House", "given": ["Greg"]}],
    "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "123"}],
}  # fmt: skip
ENCOUNTER: Resource = {
    "resourceType": "Encounter",
    "id": "e",
    "status": "in-progress",
    "class": {"system": TERMINOLOGY + "v3-ActCode", "code": "IMP"},
    "identifier": [{"system": "urn:oid:1.2.4", "value": "V1"}],
    "subject": {"reference": "Patient/p"},
    "period": {"start": "2024-01-02T03:04:05.5+01:00"},
    "location": [{"location": {"reference": "Location/bed"}, "status": "active"}],
    "participant": [
        {
            "type": [{"coding": [{"system": TERMINOLOGY + "v3-ParticipationType", "code": "ATND"}]}],
            "individual": {"reference": "Practitioner/d"},
        }
    ],
}
OBSERVATION: Resource = {
    "resourceType": "Observation",
    "id": "o",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "718-7", "display": "Hgb"}], "text": "Haemoglobin"},
    "valueQuantity": {
        "value": Decimal("7.20"), "comparator": "<", "unit": "g/dL", "system": "http://unitsofmeasure.org",
        "code": "g/dL",
    },
    "referenceRange": [{"low": {"value": Decimal("12.0")}, "high": {"value": 16}}],
    "interpretation": [{"coding": [{"system": TERMINOLOGY + "v3-ObservationInterpretation", "code": "L"}]}],
    "note": [{"text": "line 1\nline 2|x"}],
}  # fmt: skip
SPECIMEN: Resource = {
    "resourceType": "Specimen", "id": "s", "identifier": [{"system": "urn:oid:1.2.5", "value": "S1"}],
    "type": {"coding": [{"system": TERMINOLOGY + "v2-0487", "code": "BLD"}]},
    "collection": {"collectedDateTime": "2024-02-03T09:00:00Z"},
}  # fmt: skip
ORDER: Resource = {
    "resourceType": "ServiceRequest", "id": "q", "requester": {"reference": "Practitioner/d"},
    "identifier": [
        {"system": "urn:oid:1.2.6", "value": "Q1", "type": _type("PLAC")}
    ],
}  # fmt: skip
REPORT: Resource = {
    "resourceType": "DiagnosticReport",
    "id": "r",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "58410-2"}]},
    "subject": {"reference": "Patient/p"},
    "encounter": {"reference": "Encounter/e"},
    "basedOn": [{"reference": "ServiceRequest/q"}],
    "specimen": [{"reference": "Specimen/s"}],
    "effectiveDateTime": "2024-02-03",
    "issued": "2024-02-03T10:00:00Z",
    "result": [{"reference": "Observation/o"}],
    "conclusion": "all\nwell",
}
APPOINTMENT: Resource = {
    "resourceType": "Appointment",
    "id": "a",
    "status": "booked",
    "start": "2024-02-03T10:00:00Z",
    "end": "2024-02-03T10:30:00Z",
    "minutesDuration": 30,
    "participant": [
        {"actor": {"reference": f"{one}"}, "status": "accepted"}
        for one in ("Patient/p", "Practitioner/d", "Location/bed")
    ],
    "serviceType": [{"text": "Check"}],
    "comment": "be there",
}
EVERYTHING = (PATIENT, WARD, BED, DOCTOR, ENCOUNTER, OBSERVATION, SPECIMEN, ORDER, REPORT, APPOINTMENT)


class Shelf:
    """Resources that a message may tell of; versions are not told apart."""

    def __init__(self, *resources: Mapping[str, Any]) -> None:
        self._known = {f"{one['resourceType']}/{one['id']}": one for one in resources}

    def read(self, kind: str, number: str, version: int = 0) -> Mapping[str, Any] | None:
        return self._known.get(f"{kind}/{number}")

    def reports_of(self, number: str) -> list[Mapping[str, Any]]:
        reference = {"reference": f"Observation/{number}"}
        return [one for one in self._known.values() if reference in one.get("result", ())]


def made(
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    *more: Mapping[str, Any],
    version: str = "2.5.1",
    **configured: Any,
) -> Made:
    """The message of a change; what else it tells of are the samples, and ``more`` in their place."""
    resource = after or before
    assert resource is not None
    change = Change(resource["resourceType"], before, after, "2024-05-05T01:02:03.000Z", "2024-05-05T01:02:04.000Z")
    configuration = Configuration("host", 1, (), facility="HERE", version=version, **configured)
    return build(change, "C1", Shelf(*EVERYTHING, *more), configuration)
