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

ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
"""https://hl7.org/fhir/R4/extension-data-absent-reason.html"""

_SAID = """unknown asked-unknown temp-unknown not-asked asked-declined masked not-applicable unsupported as-text error
    not-a-number negative-infinity positive-infinity not-performed not-permitted"""
_REASONS = frozenset(_SAID.split())
"""https://hl7.org/fhir/R4/valueset-data-absent-reason.html"""

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
        "Patient": f"{_PERSON} deceased link managingOrganization generalPractitioner",
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
def _properties(wanted: frozenset[str], resource_type: str) -> frozenset[str]:
    """The JSON properties of some elements, those of primitives' extensions not among them."""
    elements = definitions.load().types[resource_type].elements
    return frozenset(name for element in elements.values() if element.name in wanted for name in element.json_names())


def masked(resource: Mapping[str, Any], wanted: frozenset[str]) -> dict[str, Any]:
    """The part of a resource with the elements ``wanted``, valid and tagged SUBSETTED; the one given is not changed.

    Where something that FHIR asks for is hidden it says so: data-absent-reason is masked.
    """
    resource_type = resource["resourceType"]
    properties = _properties(wanted, resource_type)
    kept: dict[str, Any] = {"resourceType": resource_type}
    if "id" in resource:
        kept["id"] = resource["id"]
    meta = {name: value for name, value in (resource.get("meta") or {}).items() if name in _META}
    tags = [tag for tag in meta.get("tag", ()) if tag.get("code") != SUBSETTED["code"]]
    kept["meta"] = meta | {"tag": [*tags, SUBSETTED]}
    if "implicitRules" in resource:
        kept["implicitRules"] = resource["implicitRules"]
    if changing := [one for one in resource.get("modifierExtension") or () if one.get("url")]:
        # What it says is hidden; that it is there may change what all the rest means.
        kept["modifierExtension"] = [{"url": one["url"], **_absent()} for one in changing]
    for name, value in resource.items():
        if name in properties and (left := _without_contained(value)) not in ([], None):
            kept[name] = left
    return kept | _required(resource, kept)


_META = frozenset(("versionId", "lastUpdated", "source", "profile", "security", "tag"))


def _absent(code: str = "masked") -> dict[str, Any]:
    return {"extension": [{"url": ABSENT, "valueCode": code}]}


def _without_contained(value: Any) -> Any:
    """A value without references to what is contained, which is not shown, and without the gaps of a list of
    primitives, where extensions stood."""
    if isinstance(value, list):
        return [_without_contained(one) for one in value if one is not None]
    if not isinstance(value, dict):
        return value
    left = {name: one if name.startswith("_") else _without_contained(one) for name, one in value.items()}
    target = left.get("reference")
    if isinstance(target, str) and target.startswith("#") and target != "#":
        del left["reference"]
        left["extension"] = [*left.get("extension", ()), *_absent()["extension"]]
    return left


def _required(resource: Mapping[str, Any], kept: Mapping[str, Any]) -> dict[str, Any]:
    """What stands for elements of the resource that FHIR asks for and that are not among those kept."""
    types = definitions.load().types
    found: dict[str, Any] = {}
    for element in types[resource["resourceType"]].elements.values():
        names = element.json_names()
        if not element.min or not kept.keys().isdisjoint(names):
            continue
        for name, of in names.items():
            beside = resource.get(f"_{name}")
            if types[of.code].kind == "primitive" and (name in resource or beside):
                found[f"_{name}"] = _absent("masked" if name in resource else _reason(beside))
                # A list of primitives has its extensions in a list as well.
                if element.max != 1:
                    found[f"_{name}"] = [found[f"_{name}"]]
            elif name in resource:
                found[name] = _absent() if element.max == 1 else [_absent()]
    return found


def _reason(beside: Any) -> str:
    """Why an element has no value, as the resource itself says it."""
    extensions = beside.get("extension", ()) if isinstance(beside, dict) else ()
    said = [one.get("valueCode") for one in extensions if one.get("url") == ABSENT]
    return said[0] if said and said[0] in _REASONS else "masked"
