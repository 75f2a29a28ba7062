"""The smallest valid resource of each type, made from the definitions pack.
https://hl7.org/fhir/R4/resourcelist.html"""

from __future__ import annotations

from typing import Any

from fhir_server.r4 import definitions
from fhir_server.r4.definitions import Element, TypeRef

PRIMITIVES: dict[str, Any] = {
    "base64Binary": "AAAA", "boolean": True, "canonical": "http://example.org/canonical", "code": "en",
    "date": "2020-01-02", "dateTime": "2020-01-02T03:04:05Z", "decimal": 1, "id": "an-id",
    "instant": "2020-01-02T03:04:05Z", "integer": 1, "markdown": "text", "oid": "urn:oid:1.2.3", "positiveInt": 1,
    "string": "text", "time": "03:04:05", "unsignedInt": 1, "uri": "urn:example:a", "url": "http://example.org/url",
    "uuid": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0",
}  # fmt: skip

# What invariants want beyond the required elements.
ALSO: dict[str, dict[str, Any]] = {
    "AllergyIntolerance": {
        "clinicalStatus": {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}
            ]
        }
    },
    "Appointment": {"participant": [{"actor": {"reference": "Patient/an-id"}, "status": "accepted"}]},
    "AppointmentResponse": {"actor": {"reference": "Patient/an-id"}},
    "Bundle": {"type": "collection"},
    "CapabilityStatement": {
        "format": ["json"],
        "rest": [{"mode": "server"}],
        "implementation": {"description": "text"},
    },
    "Consent": {"policyRule": {"text": "text"}},
    "EventDefinition": {"trigger": [{"type": "named-event", "name": "text"}]},
    "ImmunizationRecommendation": {
        "recommendation": [{"vaccineCode": [{"text": "text"}], "forecastStatus": {"text": "text"}}]
    },
    "InsurancePlan": {"name": "text"},
    "Linkage": {"item": [{"type": t, "resource": {"reference": "Patient/an-id"}} for t in ("source", "alternate")]},
    "Organization": {"name": "text"},
    "StructureDefinition": {"type": "Patient", "differential": {"element": [{"id": "Patient", "path": "Patient"}]}},
    "TerminologyCapabilities": {"implementation": {"description": "text"}},
}


def minimal(resource_type: str) -> dict[str, Any]:
    """A valid resource of this type with little more than its required elements."""
    return {"resourceType": resource_type, **_fill(resource_type), **ALSO.get(resource_type, {})}


def _fill(type_name: str) -> dict[str, Any]:
    filled: dict[str, Any] = {}
    for element in definitions.load().types[type_name].elements.values():
        if element.min > 0:
            name, ref = next(iter(element.json_names().items()))
            value = _one(element, ref)
            filled[name] = value if element.max == 1 else [value]
    return filled


def _one(element: Element, ref: TypeRef) -> Any:
    pack = definitions.load()
    codes = [(system, code) for system, codes in pack.value_sets.get(element.value_set, {}).items() for code in codes]
    if ref.code == "Reference":
        return {"reference": f"{ref.targets[0] if ref.targets else 'Patient'}/an-id"}
    if ref.code == "Resource":
        return {"resourceType": "Basic", "code": {"text": "text"}}
    if codes:
        system, code = codes[0]
        coding = {"system": system, "code": code}
        return code if ref.code == "code" else {"coding": [coding]} if ref.code == "CodeableConcept" else coding
    if element.value_set.endswith("/mimetypes"):
        return "text/plain"
    if ref.code in PRIMITIVES:
        return PRIMITIVES[ref.code]
    return _fill(ref.code) or {"CodeableConcept": {"text": "text"}}.get(ref.code) or _some(ref.code)


def _some(type_name: str) -> dict[str, Any]:
    """A value of a type that requires nothing, which must not be empty all the same: its first plain element."""
    pack = definitions.load()
    for element in pack.types[type_name].elements.values():
        name, ref = next(iter(element.json_names().items()))
        if element.name not in ("id", "extension", "modifierExtension") and pack.types[ref.code].kind == "primitive":
            value = _one(element, ref)
            return {name: value if element.max == 1 else [value]}
    raise LookupError(type_name)
