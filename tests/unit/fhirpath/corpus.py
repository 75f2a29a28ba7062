"""Resources to evaluate expressions on: a few of our own, and the official examples where ../shared has them."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_server.fhirpath import nodes
from fhir_server.r4 import definitions, json

EXAMPLES = Path(__file__).parents[3] / "../shared/data/fhir-r4/examples.zip"

PATIENT: dict[str, Any] = json.parse(b"""{
  "resourceType": "Patient", "id": "p1", "meta": {"versionId": "3", "tag": [{"system": "urn:t", "code": "x"}]},
  "contained": [
    {"resourceType": "Organization", "id": "org", "name": "North Clinic"},
    {"resourceType": "Practitioner", "id": "gp", "name": [{"family": "Okafor"}]}
  ],
  "extension": [{"url": "http://example.org/height", "valueQuantity": {"value": 1.80, "code": "m",
    "system": "http://unitsofmeasure.org"}}],
  "active": true,
  "name": [
    {"use": "official", "family": "Lindqvist", "given": ["Ada", "Maria"],
     "period": {"start": "2001", "end": "2010-05"}},
    {"use": "usual", "given": ["Ada", null], "_given": [null, {"extension": [{"url": "http://example.org/nick",
      "valueString": "Adi"}]}]}
  ],
  "telecom": [{"system": "phone", "value": "555-0101", "rank": 1}, {"system": "email", "value": "ada@example.org"}],
  "gender": "female",
  "birthDate": "1974-12-25",
  "_birthDate": {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/patient-birthTime",
    "valueDateTime": "1974-12-25T14:35:45-05:00"}]},
  "deceasedBoolean": false,
  "_maritalStatus": null,
  "managingOrganization": {"reference": "#org"},
  "generalPractitioner": [{"reference": "#gp"}, {"reference": "Practitioner/12"}, {"display": "unknown"}],
  "contact": [{"name": {"family": "Berg"}, "gender": "male"}]
}""")

OBSERVATION: dict[str, Any] = json.parse(b"""{
  "resourceType": "Observation", "id": "o1", "status": "final",
  "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9"}], "text": "Blood pressure"},
  "subject": {"reference": "Patient/p1"},
  "effectiveDateTime": "2024-03-01T09:30:00+01:00",
  "component": [
    {"code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]},
     "valueQuantity": {"value": 120.0, "unit": "mmHg", "code": "mm[Hg]", "system": "http://unitsofmeasure.org"}},
    {"code": {"coding": [{"system": "http://loinc.org", "code": "8462-4"}]}, "valueString": "80"}
  ]
}""")

QUESTIONNAIRE: dict[str, Any] = json.parse(b"""{
  "resourceType": "Questionnaire", "status": "draft", "name": "Intake",
  "item": [
    {"linkId": "1", "type": "group", "item": [
      {"linkId": "1.1", "type": "choice", "answerOption": [{"valueCoding": {"code": "a"}}]},
      {"linkId": "1.2", "type": "display", "text": "Thank you",
       "enableWhen": [{"question": "1.1", "operator": "exists", "answerBoolean": true}]}
    ]},
    {"linkId": "2", "type": "string", "maxLength": 20, "repeats": true,
     "initial": [{"valueString": "a"}, {"valueString": "b"}]}
  ]
}""")

BUNDLE: dict[str, Any] = json.parse(b"""{
  "resourceType": "Bundle", "type": "transaction",
  "entry": [
    {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Patient", "id": "a", "name": [{"family": "One"}]},
     "request": {"method": "POST", "url": "Patient"}},
    {"fullUrl": "urn:uuid:2", "resource": {"resourceType": "Observation", "status": "final", "code": {"text": "t"},
     "subject": {"reference": "urn:uuid:1"}, "valueInteger": 3}, "request": {"method": "POST", "url": "Observation"}}
  ]
}""")

OWN = {"patient": PATIENT, "observation": OBSERVATION, "questionnaire": QUESTIONNAIRE, "bundle": BUNDLE}


def examples(largest: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Our own resources, and every official example of at most ``largest`` bytes."""
    yield from OWN.items()
    if EXAMPLES.exists():
        with zipfile.ZipFile(EXAMPLES) as archive:
            for entry in sorted(archive.infolist(), key=lambda info: info.filename):
                if entry.filename.endswith(".json") and entry.file_size <= largest:
                    yield Path(entry.filename).name, json.parse(archive.read(entry))


Element = tuple[nodes.Node, dict[str, Any], dict[str, Any], list[str]]


def elements(resource: dict[str, Any]) -> Iterator[Element]:
    """Every element as (node, nearest resource, outermost resource, keys of the invariants that bind it)."""
    known = definitions.load().types
    start = nodes.root(resource)
    pending: list[Element] = [(start, resource, resource, list(known[start.type].invariants))]
    while pending:
        node, around, outermost, keys = pending.pop()
        yield node, around, outermost, keys
        for child in nodes.children(node):
            declared = known[node.type].elements[nodes.table(node.type).properties[child.key][0]]
            bound = list({*declared.invariants, *known[child.type].invariants})
            if not nodes.table(child.type).resource:
                pending.append((child, around, outermost, bound))
            elif node.type == "Bundle.entry":
                pending.append((nodes.root(child.value), child.value, child.value, bound))
            else:
                pending.append((child, child.value, outermost, bound))


needs_examples = pytest.mark.skipif(not EXAMPLES.exists(), reason="the official examples are not here")
