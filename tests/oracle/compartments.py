"""Which references put a resource into a compartment, for the types of the universe. https://hl7.org/fhir/R4/compartmentdefinition.html"""

from __future__ import annotations

CODES: dict[str, dict[str, tuple[str, ...]]] = {
    "Patient": {
        "CareTeam": ("patient", "participant"),
        "ChargeItem": ("subject",),
        "Claim": ("patient",),
        "Condition": ("patient", "asserter"),
        "DocumentReference": ("subject", "author"),
        "Encounter": ("patient",),
        "Group": ("member",),
        "List": ("subject",),
        "MedicationRequest": ("subject",),
        "Observation": ("subject", "performer"),
        "Patient": ("link",),
        "Provenance": ("patient",),
        "RiskAssessment": ("subject",),
        "ServiceRequest": ("subject", "performer"),
    },
    "Encounter": {
        "ChargeItem": ("context",),
        "Claim": ("encounter",),
        "Condition": ("encounter",),
        "DocumentReference": ("encounter",),
        "Encounter": (),
        "MedicationRequest": ("encounter",),
        "Observation": ("encounter",),
        "ServiceRequest": ("encounter",),
    },
    "Practitioner": {
        "CareTeam": ("participant",),
        "ChargeItem": ("performer-actor",),
        "Claim": ("provider", "care-team"),
        "Condition": ("asserter",),
        "DocumentReference": ("subject", "author"),
        "Encounter": ("practitioner", "participant"),
        "Group": ("member",),
        "MedicationRequest": ("requester",),
        "Observation": ("performer",),
        "Patient": ("general-practitioner",),
        "Practitioner": (),
        "PractitionerRole": ("practitioner",),
        "Provenance": ("agent",),
        "RiskAssessment": ("performer",),
        "ServiceRequest": ("performer", "requester"),
    },
}
"""By the compartment and the type; a type without codes is in it as the owner itself alone, "{def}"."""
