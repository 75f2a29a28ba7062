"""What of a resource is shown to those who see it in part: the masks of access/roles.py. docs/access.md

A mask lists what is shown; whatever is not listed is hidden, extensions, narrative and contained resources as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from fhir_server.r4 import definitions

SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
"""https://hl7.org/fhir/R4/resource.html#meta says that the tag is on whatever is not the whole resource."""

_PERSON = "identifier active name telecom gender birthDate address"

MASKS: Mapping[str, Mapping[str, str]] = {
    "demographics": {
        "Patient": f"{_PERSON} deceased link managingOrganization generalPractitioner communication",
        "RelatedPerson": f"{_PERSON} patient relationship period",
    },
    "codes": {
        "Condition": """identifier clinicalStatus verificationStatus category severity code bodySite subject encounter
            onset abatement recordedDate""",
        "Procedure": """identifier status category code subject encounter performed performer location bodySite
            reasonCode reasonReference basedOn partOf""",
        "Encounter": """identifier status class type serviceType priority subject episodeOfCare basedOn participant
            appointment period length reasonCode reasonReference diagnosis account hospitalization location
            serviceProvider partOf""",
    },
    "schedule": {
        "Encounter": """identifier status class type serviceType priority subject participant appointment period
            location serviceProvider partOf""",
    },
    "summary": {
        "Patient": f"{_PERSON} deceased managingOrganization generalPractitioner",
        "DiagnosticReport": "",
        "Observation": "",
        "ServiceRequest": "",
    },
}
"""Mask -> type -> the elements shown; "" for those that the specification counts among the summary.

https://hl7.org/fhir/R4/search.html#summary
"""


@cache
def shown(mask: str, resource_type: str) -> frozenset[str]:
    """The elements of a type that a mask shows, by their names without "[x]"; none of a type not listed."""
    listed = MASKS[mask].get(resource_type)
    if listed is None:
        return frozenset()
    if listed:
        return frozenset(listed.split())
    elements = definitions.load().types[resource_type].elements
    return frozenset(name for name, element in elements.items() if element.summary) - _NEVER


_NEVER = frozenset(("id", "meta", "text", "contained", "extension", "modifierExtension", "language", "implicitRules"))
"""What no mask shows, or what is shown in its own way."""


@cache
def _properties(mask: str, resource_type: str) -> frozenset[str]:
    """The JSON properties of the elements shown, those of primitives' extensions not among them."""
    elements = definitions.load().types[resource_type].elements
    wanted = shown(mask, resource_type)
    return frozenset(name for element in elements.values() if element.name in wanted for name in element.json_names())


def masked(mask: str, resource: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a resource that a mask shows, tagged SUBSETTED. The resource given is not changed."""
    resource_type = resource["resourceType"]
    properties = _properties(mask, resource_type)
    kept: dict[str, Any] = {"resourceType": resource_type}
    if "id" in resource:
        kept["id"] = resource["id"]
    meta = {name: value for name, value in (resource.get("meta") or {}).items() if name in _META}
    tags = [tag for tag in meta.get("tag", ()) if tag.get("code") != SUBSETTED["code"]]
    kept["meta"] = meta | {"tag": [*tags, SUBSETTED]}
    kept |= {name: value for name, value in resource.items() if name in properties}
    return kept


_META = frozenset(("versionId", "lastUpdated", "source", "profile", "security", "tag"))
