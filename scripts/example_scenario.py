"""ExampleScenario, which the published single-file definitions leave out, as the elements of a StructureDefinition.

https://hl7.org/fhir/R4/examplescenario-definitions.html
"""

from __future__ import annotations

import copy
from typing import Any

CORE = "http://hl7.org/fhir/StructureDefinition/"
# path below the type, cardinality, type ("#path" for a content reference), required binding
ROWS = """
url 0..1 uri
identifier 0..* Identifier
version 0..1 string
name 0..1 string
status 1..1 code http://hl7.org/fhir/ValueSet/publication-status
experimental 0..1 boolean
date 0..1 dateTime
publisher 0..1 string
contact 0..* ContactDetail
useContext 0..* UsageContext
jurisdiction 0..* CodeableConcept
copyright 0..1 markdown
purpose 0..1 markdown
actor 0..* BackboneElement
actor.actorId 1..1 string
actor.type 1..1 code http://hl7.org/fhir/ValueSet/examplescenario-actor-type
actor.name 0..1 string
actor.description 0..1 markdown
instance 0..* BackboneElement
instance.resourceId 1..1 string
instance.resourceType 1..1 code http://hl7.org/fhir/ValueSet/resource-types
instance.name 0..1 string
instance.description 0..1 markdown
instance.version 0..* BackboneElement
instance.version.versionId 1..1 string
instance.version.description 1..1 markdown
instance.containedInstance 0..* BackboneElement
instance.containedInstance.resourceId 1..1 string
instance.containedInstance.versionId 0..1 string
process 0..* BackboneElement
process.title 1..1 string
process.description 0..1 markdown
process.preConditions 0..1 markdown
process.postConditions 0..1 markdown
process.step 0..* BackboneElement
process.step.process 0..* #ExampleScenario.process
process.step.pause 0..1 boolean
process.step.operation 0..1 BackboneElement
process.step.operation.number 1..1 string
process.step.operation.type 0..1 string
process.step.operation.name 0..1 string
process.step.operation.initiator 0..1 string
process.step.operation.receiver 0..1 string
process.step.operation.description 0..1 markdown
process.step.operation.initiatorActive 0..1 boolean
process.step.operation.receiverActive 0..1 boolean
process.step.operation.request 0..1 #ExampleScenario.instance.containedInstance
process.step.operation.response 0..1 #ExampleScenario.instance.containedInstance
process.step.alternative 0..* BackboneElement
process.step.alternative.title 1..1 string
process.step.alternative.description 0..1 markdown
process.step.alternative.step 0..* #ExampleScenario.process.step
workflow 0..* canonical:ExampleScenario
"""
SUMMARY = {
    "url", "identifier", "version", "name", "status", "experimental", "date", "publisher", "contact", "useContext",
    "jurisdiction",
}  # fmt: skip


def structure(model: dict[str, Any]) -> dict[str, Any]:
    """The StructureDefinition of ExampleScenario; ``model`` is one of another resource with a backbone, for what all
    inherit."""
    name, other = "ExampleScenario", model["name"]
    inherited = {"id", "meta", "implicitRules", "language", "text", "contained", "extension", "modifierExtension"}
    elements = []
    for raw in model["snapshot"]["element"]:
        tail = raw["path"].removeprefix(other).lstrip(".")
        if tail == "" or tail in inherited:
            elements.append(copy.deepcopy(raw) | {"path": f"{name}.{tail}".rstrip(".")})
    backbone_inherited = [
        copy.deepcopy(e) for e in elements if e["path"].split(".")[-1] in ("extension", "modifierExtension")
    ]
    string_id = {"path": "", "min": 0, "max": "1", "type": [{"code": "string"}]}
    for row in ROWS.strip().splitlines():
        tail, cardinality, kind, *value_set = row.split()
        low, high = cardinality.split("..")
        code, _, target = kind.partition(":")
        element: dict[str, Any] = {"path": f"{name}.{tail}", "min": int(low), "max": high}
        element["constraint"] = [
            {"key": "ele-1", "severity": "error", "expression": "hasValue() or (children().count() > id.count())"}
        ]
        if kind.startswith("#"):
            element["contentReference"] = kind
        else:
            element["type"] = [{"code": code} | ({"targetProfile": [CORE + target]} if target else {})]
        if value_set:
            element["binding"] = {"strength": "required", "valueSet": value_set[0]}
        element["isSummary"] = tail in SUMMARY
        element["isModifier"] = tail == "status"
        elements.append(element)
        if kind == "BackboneElement":
            for raw in (string_id, *backbone_inherited):
                last = raw["path"].split(".")[-1] or "id"
                elements.append(copy.deepcopy(raw) | {"path": f"{name}.{tail}.{last}"})
    return model | {"name": name, "url": CORE + name, "snapshot": {"element": elements}}
