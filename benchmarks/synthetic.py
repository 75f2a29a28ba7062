"""Invented resources of the nine types that the workloads use, about 1.5 KB each. https://hl7.org/fhir/R4/resourcelist.html

The same ``Random`` gives the same resources. No one of these patients exists.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

Resource = dict[str, Any]

SITE = "http://benchmark.example.org"
LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
UCUM = "http://unitsofmeasure.org"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition"

FAMILIES = (
    "Adler", "Bianchi", "Castillo", "Dubois", "Eriksson", "Fischer", "García", "Hansen", "Ivanova", "Jensen",
    "Kowalska", "Lindqvist", "Moreau", "Nakamura", "Okafor", "Petrov", "Quinn", "Rossi", "Sørensen", "Tanaka", "Ueda",
    "Vargas", "Whitaker", "Xu", "Yamamoto", "Zieliński",
)  # fmt: skip
GIVEN = (
    "Amara", "Bruno", "Clara", "Daniel", "Elena", "Felix", "Greta", "Hugo", "Ines", "Jonas", "Keiko", "Luis", "Mara",
    "Nils",    "Olga", "Paulo", "Quentin", "Rosa", "Stefan", "Teresa", "Uma", "Viktor", "Wanda", "Yusuf",
)  # fmt: skip
CITIES = (
    ("Riverbend", "AZ", "85009"),
    ("Waihou", "HI", "96720"),
    ("Lakemont", "OH", "44107"),
    ("Pine Falls", "ME", "04005"),
)
MEASUREMENTS = (
    ("vital-signs", "8867-4", "Heart rate", 74, 12, "/min", "beats/minute"),
    ("vital-signs", "8310-5", "Body temperature", 36.8, 0.4, "Cel", "degrees C"),
    ("vital-signs", "29463-7", "Body weight", 76, 14, "kg", "kg"),
    ("vital-signs", "8302-2", "Body height", 170, 9, "cm", "cm"),
    ("vital-signs", "9279-1", "Respiratory rate", 15, 2, "/min", "breaths/minute"),
    ("laboratory", "4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", 6.1, 0.9, "%", "%"),
    ("laboratory", "2339-0", "Glucose [Mass/volume] in Blood", 98, 20, "mg/dL", "mg/dL"),
    ("laboratory", "2093-3", "Cholesterol [Mass/volume] in Serum or Plasma", 190, 30, "mg/dL", "mg/dL"),
    ("laboratory", "2947-0", "Sodium [Moles/volume] in Blood", 140, 3, "mmol/L", "mmol/L"),
    ("laboratory", "718-7", "Hemoglobin [Mass/volume] in Blood", 13.8, 1.4, "g/dL", "g/dL"),
)
PROBLEMS = (
    ("44054006", "Diabetes mellitus type 2"), ("38341003", "Hypertensive disorder"), ("195967001", "Asthma"),
    ("40930008", "Hypothyroidism"), ("55822004", "Hyperlipidemia"), ("396275006", "Osteoarthritis"),
)  # fmt: skip
DRUGS = (
    ("860975", "24 HR Metformin hydrochloride 500 MG Extended Release Oral Tablet"),
    ("314076", "lisinopril 10 MG Oral Tablet"),
    ("617312", "atorvastatin 20 MG Oral Tablet"),
    ("966222", "levothyroxine sodium 0.075 MG Oral Tablet"),
)
VISITS = (
    ("185349003", "Encounter for check up"),
    ("390906007", "Follow-up encounter"),
    ("50849002", "Emergency room admission"),
)
FIRST_DAY = datetime(2015, 1, 1, 8, tzinfo=UTC)
DAYS = 3600


@dataclass(frozen=True, slots=True)
class Around:
    """What a resource refers to, as references such as Patient/1 or urn:uuid:..."""

    patient: str
    practitioner: str
    organization: str
    encounter: str
    condition: str


def reference(to: str, display: str = "") -> Resource:
    """A Reference. https://hl7.org/fhir/R4/references.html"""
    return {"reference": to, "display": display} if display else {"reference": to}


def concept(system: str, code: str, display: str, text: bool = True) -> Resource:
    """A CodeableConcept with one coding. https://hl7.org/fhir/R4/datatypes.html#CodeableConcept"""
    found: Resource = {"coding": [{"system": system, "code": code, "display": display}]}
    return found | {"text": display} if text else found


def identifier(rng: Random, kind: str) -> Resource:
    """An identifier that no other resource has. https://hl7.org/fhir/R4/datatypes.html#Identifier"""
    return {"use": "official", "system": f"{SITE}/{kind}", "value": f"{rng.getrandbits(64):016x}"}


def moment(rng: Random) -> datetime:
    """Some working time within ten years."""
    return FIRST_DAY + timedelta(days=rng.randrange(DAYS), minutes=rng.randrange(600))


def instant(at: datetime) -> str:
    """A dateTime with its offset. https://hl7.org/fhir/R4/datatypes.html#dateTime"""
    return at.isoformat()


def _meta(profile: str) -> Resource:
    return {"profile": [f"{US_CORE}/{profile}"], "tag": [{"system": f"{SITE}/origin", "code": "benchmark"}]}


def _address(rng: Random) -> Resource:
    city, state, code = rng.choice(CITIES)
    return {
        "line": [f"{rng.randrange(1, 999)} Cottonwood Avenue"],
        "city": city,
        "state": state,
        "postalCode": code,
        "country": "US",
    }


def _phone(rng: Random, use: str) -> Resource:
    return {"system": "phone", "value": f"555-{rng.randrange(100, 1000)}-{rng.randrange(1000, 10000)}", "use": use}


def patient(rng: Random, around: Around) -> Resource:
    """https://hl7.org/fhir/R4/patient.html"""
    family, given = rng.choice(FAMILIES), rng.sample(GIVEN, 2)
    born = moment(rng) - timedelta(days=365 * rng.randrange(1, 90))
    extension = {
        "url": f"{US_CORE}/us-core-race",
        "extension": [
            {
                "url": "ombCategory",
                "valueCoding": {"system": "urn:oid:2.16.840.1.113883.6.238", "code": "2106-3", "display": "White"},
            },
            {"url": "text", "valueString": "White"},
        ],
    }
    mrn = concept("http://terminology.hl7.org/CodeSystem/v2-0203", "MR", "Medical Record Number")
    return {
        "resourceType": "Patient",
        "meta": _meta("us-core-patient"),
        "extension": [extension, {"url": "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName",
                                  "valueString": rng.choice(FAMILIES)}],
        "identifier": [identifier(rng, "mrn") | {"type": mrn}, identifier(rng, "insurance")],
        "active": True,
        "name": [{"use": "official", "family": family, "given": given, "prefix": ["Ms."]}],
        "telecom": [_phone(rng, "home"), _phone(rng, "mobile"), {"system": "email", "value": "me@example.org"}],
        "gender": rng.choice(("female", "male")),
        "birthDate": born.date().isoformat(),
        "address": [{"use": "home"} | _address(rng)],
        "maritalStatus": concept(f"{TERMINOLOGY}/v3-MaritalStatus", "M", "Married"),
        "communication": [{"language": concept("urn:ietf:bcp:47", "en-US", "English"), "preferred": True}],
        "generalPractitioner": [reference(around.practitioner, "Dr. Amara Okafor")],
        "managingOrganization": reference(around.organization, "Riverside Community Clinic"),
    }  # fmt: skip


def practitioner(rng: Random, around: Around) -> Resource:
    """https://hl7.org/fhir/R4/practitioner.html"""
    family, given = rng.choice(FAMILIES), rng.choice(GIVEN)
    return {
        "resourceType": "Practitioner",
        "meta": _meta("us-core-practitioner"),
        "identifier": [identifier(rng, "npi"), identifier(rng, "licence")],
        "active": True,
        "name": [{"use": "official", "family": family, "given": [given], "prefix": ["Dr."], "suffix": ["MD"]}],
        "telecom": [_phone(rng, "work"), {"system": "email", "value": f"{given}.{family}@example.org", "use": "work"}],
        "address": [{"use": "work"} | _address(rng)],
        "gender": rng.choice(("female", "male")),
        "qualification": [
            {
                "identifier": [identifier(rng, "board")],
                "code": concept(f"{TERMINOLOGY}/v2-0360", "MD", "Doctor of Medicine"),
                "period": {"start": "1998-06-01"},
                "issuer": reference(around.organization),
            }
        ],
        "communication": [concept("urn:ietf:bcp:47", "en-US", "English")],
    }


def organization(rng: Random, around: Around) -> Resource:
    """https://hl7.org/fhir/R4/organization.html"""
    kind = rng.choice(("Community Clinic", "Family Health", "Medical Center"))
    name = f"{rng.choice(CITIES)[0]} {kind} {rng.randrange(1000)}"
    return {
        "resourceType": "Organization",
        "meta": _meta("us-core-organization"),
        "identifier": [identifier(rng, "npi"), identifier(rng, "clia")],
        "active": True,
        "type": [concept(f"{TERMINOLOGY}/organization-type", "prov", "Healthcare Provider")],
        "name": name,
        "alias": [name.upper()],
        "telecom": [_phone(rng, "work"), {"system": "url", "value": f"{SITE}/about"}],
        "address": [{"use": "work"} | _address(rng)],
        "contact": [
            {
                "purpose": concept(f"{TERMINOLOGY}/contactentity-type", "ADMIN", "Administrative"),
                "name": {"family": rng.choice(FAMILIES), "given": [rng.choice(GIVEN)]},
                "telecom": [_phone(rng, "work")],
            }
        ],
    }


def encounter(rng: Random, around: Around) -> Resource:
    """https://hl7.org/fhir/R4/encounter.html"""
    start = moment(rng)
    period = {"start": instant(start), "end": instant(start + timedelta(minutes=30))}
    code, display = rng.choice(VISITS)
    primary = concept(f"{TERMINOLOGY}/v3-ParticipationType", "PPRF", "primary performer")
    return {
        "resourceType": "Encounter",
        "meta": _meta("us-core-encounter"),
        "identifier": [identifier(rng, "visit")],
        "status": "finished",
        "class": {"system": f"{TERMINOLOGY}/v3-ActCode", "code": "AMB", "display": "ambulatory"},
        "type": [concept(SNOMED, code, display)],
        "subject": reference(around.patient, "Ms. Clara Adler"),
        "participant": [
            {"type": [primary], "period": period, "individual": reference(around.practitioner, "Dr. Amara Okafor")}
        ],
        "period": period,
        "reasonCode": [concept(SNOMED, *rng.choice(PROBLEMS), text=False)],
        "location": [{"location": {"display": "Room 4, first floor"}, "status": "completed"}],
        "serviceProvider": reference(around.organization, "Riverside Community Clinic"),
    }


def observation(rng: Random, around: Around) -> Resource:
    """https://hl7.org/fhir/R4/observation.html"""
    category, code, display, middle, deviation, ucum, unit = rng.choice(MEASUREMENTS)
    at = moment(rng)
    value = round(rng.gauss(middle, deviation), 1)
    low, high = round(middle - deviation, 1), round(middle + deviation, 1)
    flag = ("H", "High") if value > high else ("L", "Low") if value < low else ("N", "Normal")
    quantity = {"unit": unit, "system": UCUM, "code": ucum}
    return {
        "resourceType": "Observation",
        "meta": _meta("us-core-observation-lab"),
        "identifier": [identifier(rng, "result")],
        "status": "final",
        "category": [concept(f"{TERMINOLOGY}/observation-category", category, category.capitalize().replace("-", " "))],
        "code": concept(LOINC, code, display),
        "subject": reference(around.patient, "Ms. Clara Adler"),
        "encounter": reference(around.encounter),
        "effectiveDateTime": instant(at),
        "issued": instant(at + timedelta(minutes=20)),
        "performer": [reference(around.practitioner, "Dr. Amara Okafor"), reference(around.organization)],
        "valueQuantity": {"value": value} | quantity,
        "interpretation": [concept(f"{TERMINOLOGY}/v3-ObservationInterpretation", *flag)],
        "referenceRange": [
            {"low": {"value": low} | quantity, "high": {"value": high} | quantity, "text": f"{low} - {high} {unit}"}
        ],
    }


def condition(rng: Random, around: Around) -> Resource:
    """https://hl7.org/fhir/R4/condition.html"""
    onset = moment(rng)
    return {
        "resourceType": "Condition",
        "meta": _meta("us-core-condition"),
        "identifier": [identifier(rng, "problem")],
        "clinicalStatus": concept(f"{TERMINOLOGY}/condition-clinical", "active", "Active", text=False),
        "verificationStatus": concept(f"{TERMINOLOGY}/condition-ver-status", "confirmed", "Confirmed", text=False),
        "category": [concept(f"{TERMINOLOGY}/condition-category", "problem-list-item", "Problem List Item")],
        "severity": concept(SNOMED, "6736007", "Moderate"),
        "code": concept(SNOMED, *rng.choice(PROBLEMS)),
        "subject": reference(around.patient, "Ms. Clara Adler"),
        "encounter": reference(around.encounter),
        "onsetDateTime": instant(onset),
        "recordedDate": instant(onset + timedelta(minutes=10)),
        "recorder": reference(around.practitioner, "Dr. Amara Okafor"),
        "asserter": reference(around.practitioner, "Dr. Amara Okafor"),
        "note": [
            {"text": "Discussed with the patient; to be seen again at the next appointment.", "time": instant(onset)}
        ],
    }


def medication_request(rng: Random, around: Around) -> Resource:
    """https://hl7.org/fhir/R4/medicationrequest.html"""
    at = moment(rng)
    dosage = {
        "sequence": 1,
        "text": "One tablet by mouth in the morning with food",
        "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
        "asNeededBoolean": False,
        "route": concept(SNOMED, "26643006", "Oral route"),
        "doseAndRate": [{"doseQuantity": {"value": 1, "unit": "tablet", "system": UCUM, "code": "{tbl}"}}],
    }
    return {
        "resourceType": "MedicationRequest",
        "meta": _meta("us-core-medicationrequest"),
        "identifier": [identifier(rng, "prescription")],
        "status": "active",
        "intent": "order",
        "category": [concept(f"{TERMINOLOGY}/medicationrequest-category", "community", "Community")],
        "medicationCodeableConcept": concept(RXNORM, *rng.choice(DRUGS)),
        "subject": reference(around.patient, "Ms. Clara Adler"),
        "encounter": reference(around.encounter),
        "authoredOn": instant(at),
        "requester": reference(around.practitioner, "Dr. Amara Okafor"),
        "reasonReference": [reference(around.condition)],
        "dosageInstruction": [dosage],
        "dispenseRequest": {
            "numberOfRepeatsAllowed": 3,
            "expectedSupplyDuration": {"value": 30, "unit": "days", "code": "d", "system": UCUM},
        },
    }  # fmt: skip


def claim(rng: Random, around: Around) -> Resource:
    """https://hl7.org/fhir/R4/claim.html"""
    at = moment(rng)
    price = {"value": round(rng.uniform(40, 400), 2), "currency": "USD"}
    item = {
        "sequence": 1,
        "diagnosisSequence": [1],
        "productOrService": concept(SNOMED, *rng.choice(VISITS)),
        "servicedPeriod": {"start": instant(at), "end": instant(at + timedelta(minutes=30))},
        "unitPrice": price,
        "net": price,
        "encounter": [reference(around.encounter)],
    }
    return {
        "resourceType": "Claim",
        "identifier": [identifier(rng, "claim")],
        "status": "active",
        "type": concept(f"{TERMINOLOGY}/claim-type", "professional", "Professional"),
        "use": "claim",
        "patient": reference(around.patient, "Ms. Clara Adler"),
        "billablePeriod": {"start": instant(at), "end": instant(at + timedelta(minutes=30))},
        "created": instant(at + timedelta(hours=2)),
        "provider": reference(around.organization, "Riverside Community Clinic"),
        "priority": concept(f"{TERMINOLOGY}/processpriority", "normal", "Normal", text=False),
        "careTeam": [{"sequence": 1, "provider": reference(around.practitioner, "Dr. Amara Okafor")}],
        "diagnosis": [{"sequence": 1, "diagnosisReference": reference(around.condition)}],
        "insurance": [{"sequence": 1, "focal": True, "coverage": {"display": "Saguaro Health Plan"}}],
        "item": [item],
        "total": price,
    }


def task(rng: Random, around: Around) -> Resource:
    """https://hl7.org/fhir/R4/task.html"""
    at = moment(rng)
    return {
        "resourceType": "Task",
        "identifier": [identifier(rng, "task")],
        "status": "requested",
        "intent": "order",
        "priority": rng.choice(("routine", "urgent")),
        "code": concept(f"{SITE}/task-kind", "call-patient", "Call the patient"),
        "description": "Call the patient: how are they, and do they need anything before the next appointment?",
        "focus": reference(around.encounter),
        "for": reference(around.patient, "Ms. Clara Adler"),
        "encounter": reference(around.encounter),
        "executionPeriod": {"start": instant(at), "end": instant(at + timedelta(days=3))},
        "authoredOn": instant(at),
        "lastModified": instant(at + timedelta(minutes=1)),
        "requester": reference(around.practitioner, "Dr. Amara Okafor"),
        "owner": reference(around.organization, "Riverside Community Clinic"),
        "reasonCode": concept(SNOMED, *rng.choice(PROBLEMS)),
        "note": [{"text": "The patient prefers the telephone, in the late afternoon.", "time": instant(at)}],
        "restriction": {"repetitions": 2, "period": {"start": instant(at), "end": instant(at + timedelta(days=7))}},
    }


MAKERS: dict[str, Callable[[Random, Around], Resource]] = {
    "Patient": patient,
    "Practitioner": practitioner,
    "Organization": organization,
    "Encounter": encounter,
    "Observation": observation,
    "Condition": condition,
    "MedicationRequest": medication_request,
    "Claim": claim,
    "Task": task,
}
"""The nine types, in the order of the cycle."""
