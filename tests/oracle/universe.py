"""Every resource of a tenant that is searched: many types that refer to each other. https://hl7.org/fhir/R4/resourcelist.html"""

from __future__ import annotations

from collections.abc import Callable

from tests.oracle import clinical, people, records
from tests.oracle.drawing import Draw, Resource

MAKERS: dict[str, tuple[Callable[[Draw, int], Resource], int]] = {
    "Organization": (people.organization, 9),
    "Practitioner": (people.practitioner, 8),
    "Location": (people.location, 12),
    "PractitionerRole": (people.practitioner_role, 7),
    "Patient": (people.patient, 30),
    "Group": (people.group, 7),
    "CareTeam": (people.care_team, 8),
    "Encounter": (clinical.encounter, 25),
    "Condition": (clinical.condition, 25),
    "MedicationRequest": (clinical.medication_request, 14),
    "ServiceRequest": (clinical.service_request, 16),
    "Observation": (clinical.observation, 90),
    "RiskAssessment": (clinical.risk_assessment, 12),
    "ChargeItem": (clinical.charge_item, 16),
    "DocumentReference": (records.document_reference, 12),
    "Task": (records.task, 12),
    "Provenance": (records.provenance, 14),
    "Claim": (records.claim, 8),
    "List": (people.list_, 6),
    "CodeSystem": (records.code_system, 1),
    "ValueSet": (records.value_set, 8),
    "Library": (records.library, 7),
    "PlanDefinition": (records.plan_definition, 7),
}
"""How a resource of each type is drawn, and how many of them there are; their ids are "0", "1" and so on."""

NARRATIVES = [
    '<div xmlns="http://www.w3.org/1999/xhtml"><p>Anna M<b>üll</b>er</p><p>feels better</p></div>',
    '<div xmlns="http://www.w3.org/1999/xhtml">Blood pressure of Jos\u00e9 O\'Brien: <b>120</b></div>',
]


def resources(seed: int) -> list[Resource]:
    """All resources, those referred to mostly before those that refer to them."""
    draw = Draw(seed)
    made = [maker(draw, number) for maker, count in MAKERS.values() for number in range(count)]
    for resource in made:
        if draw.chance(0.15):
            resource["text"] = {"status": "additional", "div": draw.pick(NARRATIVES)}
    return made
