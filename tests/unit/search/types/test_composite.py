"""Composite search, written and read. https://hl7.org/fhir/R4/search.html#composite"""

from __future__ import annotations

import pytest

from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import BadRequest
from fhir_server.r4 import definitions
from fhir_server.search import paths
from fhir_server.search.registry import parameters
from fhir_server.search.sql import SqlParameters
from fhir_server.search.types import composite
from tests.unit.search.searching import Searching, clause

LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"


def concept(code: str) -> dict[str, object]:
    return {"coding": [{"system": LOINC, "code": code}]}


def pressure(value: int) -> dict[str, object]:
    return {"value": value, "unit": "mmHg", "system": UCUM, "code": "mm[Hg]"}


@pytest.fixture
def observations(searching: Searching) -> Searching:
    systolic, diastolic = concept("8480-6"), concept("8462-4")
    searching.write(
        {
            "resourceType": "Observation", "id": "panel", "code": concept("85354-9"),
            "component": [
                {"code": systolic, "valueQuantity": pressure(150)},
                {"code": diastolic, "valueQuantity": pressure(70)},
                {"code": concept("x"), "valueCodeableConcept": concept("yes")},
            ],
        },
        {"resourceType": "Observation", "id": "single", "code": systolic, "valueQuantity": pressure(150)},
        {"resourceType": "Observation", "id": "text", "code": concept("t"), "valueString": "Tall Ünit"},
        {"resourceType": "Observation", "id": "date", "code": concept("d"), "valueDateTime": "2020-05"},
        {"resourceType": "Observation", "id": "period", "code": concept("d"), "valuePeriod": {"start": "2021"}},
        {"resourceType": "Observation", "id": "concept", "code": concept("x"), "valueCodeableConcept": concept("no")},
    )  # fmt: skip
    return searching


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (f"component-code-value-quantity={LOINC}|8480-6$150", "panel"),
        ("component-code-value-quantity=8480-6$gt140", "panel"),
        ("component-code-value-quantity=8462-4$gt140", ""),
        (f"component-code-value-quantity=8480-6$gt140|{UCUM}|mm[Hg]", "panel"),
        ("component-code-value-quantity=8480-6$gt140||mmHg", "panel"),
        ("component-code-value-quantity=8480-6$gt140||kPa", ""),
        ("code-value-quantity=8480-6$150", "single"),
        ("combo-code-value-quantity=8480-6$150", "panel single"),
        ("combo-code-value-quantity=8462-4$lt80,8480-6$lt80", "panel"),
        ("component-code-value-concept=x$yes", "panel"),
        (f"component-code-value-concept={LOINC}|x${LOINC}|yes", "panel"),
        (f"component-code-value-concept={LOINC}|x$|yes", ""),
        ("code-value-concept=x$no", "concept"),
        ("combo-code-value-concept=x$no,x$yes", "concept panel"),
        ("code-value-string=t$tall u", "text"),
        ("code-value-string=t$unit", ""),
        ("code-value-date=d$2020", "date"),
        ("code-value-date=d$ge2020-05-15", "date period"),
        ("code-value-date=d$sa2020", "period"),
        ("code-value-quantity:missing=false", "single"),
    ],
)
def test_observations(observations: Searching, query: str, expected: str) -> None:
    assert observations.find("Observation", query) == expected


def test_contexts_relationships_and_coordinates(searching: Searching) -> None:
    usage = {"code": {"system": "s", "code": "age"}}
    years = {"value": 18, "system": UCUM, "code": "a"}
    searching.write(
        {
            "resourceType": "PlanDefinition", "id": "p", "status": "draft",
            "useContext": [
                {**usage, "valueRange": {"low": years}},
                {"code": {"system": "s", "code": "focus"}, "valueCodeableConcept": concept("z")},
            ],
        },
        {
            "resourceType": "DocumentReference", "id": "d", "status": "current", "content": [],
            "relatesTo": [{"code": "replaces", "target": {"reference": "DocumentReference/old"}}],
        },
        {
            "resourceType": "MolecularSequence", "id": "m", "coordinateSystem": 0,
            "referenceSeq": {"chromosome": concept("7"), "windowStart": 10, "windowEnd": 90},
            "variant": [{"start": 20, "end": 25}, {"start": 70, "end": 75}],
        },
        {
            "resourceType": "Group", "id": "g", "type": "person", "actual": False,
            "characteristic": [{"code": concept("smoker"), "valueBoolean": True, "exclude": False}],
        },
    )  # fmt: skip
    assert searching.find("PlanDefinition", "context-type-quantity=s|age$ge21||a") == "p"
    assert searching.find("PlanDefinition", "context-type-quantity=s|age$lt18||a") == ""
    assert searching.find("PlanDefinition", f"context-type-value=focus${LOINC}|z") == "p"
    assert searching.find("PlanDefinition", f"context-type-value=age${LOINC}|z") == ""
    assert searching.find("DocumentReference", "relationship=replaces$DocumentReference/old") == "d"
    assert searching.find("DocumentReference", "relationship=replaces$old") == "d"
    assert searching.find("DocumentReference", "relationship=signs$old") == ""
    assert searching.find("MolecularSequence", "chromosome-variant-coordinate=7$ge20$le30") == "m"
    assert searching.find("MolecularSequence", "chromosome-variant-coordinate=7$20$75") == ""
    assert searching.find("MolecularSequence", f"chromosome-window-coordinate={LOINC}|7$10$90") == "m"
    assert searching.find("MolecularSequence", "chromosome-window-coordinate=8$10$90") == ""
    assert searching.find("Group", "characteristic-value=smoker$true") == "g"
    assert searching.find("Group", "characteristic-value=smoker$false") == ""


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("code-value-quantity:exact=a$1", "Supported: :missing"),
        ("code-value-quantity=a", "the parts code$value-quantity"),
        ("code-value-quantity=a$", "the parts code$value-quantity"),
        ("code-value-quantity=a$1$2", "the parts code$value-quantity"),
        ("code-value-quantity=a$b", "a number is written as"),
        ("code-value-quantity=http://a|$1", "needs a code inside of a composite"),
        ("code-value-date=a$b", "a date is written as"),
        ("code-value-string=a$\u0301", "at least one character"),
    ],
)
def test_what_cannot_be_answered_is_refused(query: str, message: str) -> None:
    with pytest.raises(BadRequest) as refused:
        composite.where(clause("Observation", query), SqlParameters(1), Hasher(bytes(16)))
    assert message in str(refused.value)


def test_every_standard_composite_has_parts_that_are_written() -> None:
    seen = 0
    for resource_type in definitions.load().resource_types:
        for parameter in parameters(resource_type).values():
            if parameter.type == "composite":
                for root in paths.paths(parameter.expression, resource_type):
                    found = composite.parts(parameter, root.type)
                    assert len(found) == len(parameter.components)
                    assert found[0].kind == "token"
                    seen += 1
    assert seen > 60
