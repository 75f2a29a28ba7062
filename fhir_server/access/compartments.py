"""Which patients a resource is about: what every restriction to patients looks at.

https://hl7.org/fhir/R4/compartmentdefinition-patient.html
"""

from __future__ import annotations

from functools import cache

from fhir_server.r4 import definitions

_BEYOND = {"Contract": ("patient",), "Device": ("patient",), "GuidanceResponse": ("patient",), "Task": ("patient",)}
"""Types that are in no compartment and name a patient all the same, by these search parameters."""

_SEVERAL = {
    "Account": ("patient",),
    "Appointment": ("patient",),
    "AuditEvent": ("patient",),
    "Group": ("member",),
    "Person": ("patient",),
    "Schedule": ("actor",),
}
"""Types that may name several patients, by these search parameters."""

VIA = {"Provenance": ("target",)}
"""Types that are about the patients of the resources that they refer to, by these search parameters.

https://hl7.org/fhir/R4/provenance-definitions.html#Provenance.target
"""


@cache
def on_row(resource_type: str) -> bool:
    """Whether the row's ``patient`` tells: the type names one patient at most, or is Patient itself."""
    return resource_type == "Patient" or resource_type in definitions.load().patient_path


@cache
def codes(resource_type: str) -> tuple[str, ...]:
    """The search parameters that name the patients of a type for which the row does not tell; () for none."""
    return _BEYOND.get(resource_type, ()) or _SEVERAL.get(resource_type, ()) or VIA.get(resource_type, ())


@cache
def has_patients(resource_type: str) -> bool:
    """Whether resources of this type are about patients at all."""
    return on_row(resource_type) or bool(codes(resource_type))
