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
from fhir_server.store.index_rows import IndexRows
from tests.unit.search.searching import HASHER, Searching, clause

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
        (f"component-code-value-quantity=8480-6$gt18|{UCUM}|kPa", "panel"),
        (f"component-code-value-quantity={LOINC}|8462-4$lt9.4|{UCUM}|kPa", "panel"),
        (f"component-code-value-quantity=8480-6$gt20|{UCUM}|kPa", ""),
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


def test_quantities_are_converted(searching: Searching) -> None:
    def dose(name: str, code: dict[str, object], value: int, unit: str, system: str = UCUM) -> dict[str, object]:
        quantity = {"value": value, "unit": "as given", "system": system, "code": unit}
        return {"resourceType": "Observation", "id": name, "code": code, "valueQuantity": quantity}

    both = {"coding": [{"system": LOINC, "code": "1"}, {"system": "http://local", "code": "1"}, {"code": "z"}]}
    searching.write(
        dose("gram", concept("1"), 1, "g"),
        dose("milligrams", concept("1"), 1000, "mg"),
        dose("two", both, 1000, "mg"),
        dose("other", concept("2"), 1, "g"),
        dose("local", concept("1"), 1, "g", "http://example.org/units"),
        dose("unknown", concept("1"), 1, "gramme"),
    )

    def find(value: str) -> str:
        return searching.find("Observation", f"code-value-quantity={value}")

    assert find(f"1$1|{UCUM}|g") == "gram milligrams two"
    assert find(f"1$1000|{UCUM}|mg") == "gram milligrams two"
    assert find(f"{LOINC}|1$gt999|{UCUM}|mg") == "gram milligrams two"
    assert find(f"http://local|1$0.0010|{UCUM}|kg") == "two"
    assert find(f"http://none|1$1|{UCUM}|g") == ""
    assert find(f"|z$1|{UCUM}|g") == "two"
    assert find(f"|1$1|{UCUM}|g") == ""
    assert find(f"1$1|{UCUM}|g,2$1|{UCUM}|g") == "gram milligrams other two"
    assert find(f"1$1|{UCUM}|m") == ""
    assert find("1$1") == "gram local unknown"
    assert find("1$1||g") == "gram local"
    assert find("1$1||as given") == "gram local unknown"
    assert find(f"{LOINC}|1$1000||mg") == "milligrams two"
    assert find("http://local|1$1000") == "two"
    assert find("1$1|http://example.org/units|g") == "local"
    assert find(f"1$1|{UCUM}|gramme") == "unknown"


def test_a_quantity_has_a_row_as_stated_and_a_canonical_one() -> None:
    rows = IndexRows()
    kinds = (("token", "CodeableConcept"), ("quantity", "Quantity"))
    both = {"coding": [{"system": LOINC, "code": "1"}, {"system": "http://local", "code": "1"}]}
    composite.write(5, kinds, (both, {"value": 1000, "system": UCUM, "code": "mg"}), rows, HASHER)
    systems = f"{HASHER(f'b:{LOINC}|1')} {HASHER('b:http://local|1')}"
    assert rows.composites == [
        (HASHER("5:x:c:1"), 1000.0, 1000.0, f"{HASHER('q:|mg')} {systems}"),
        (HASHER("5:x:c:1#g"), 1.0, 1.0, systems),
    ]
    rows = IndexRows()
    composite.write(5, kinds, ({"coding": [{"code": "1" * 600}]}, {"value": 1, "unit": "x"}), rows, HASHER)
    name = "1" * 600
    assert rows.composites == [(HASHER(f"5:x:c:{name}"), 1.0, 1.0, f"{HASHER('q:|x')} {HASHER(f'b:|{name}')}")]
    rows = IndexRows()
    composite.write(5, kinds, (both, {"unit": "x"}), rows, HASHER)
    assert rows.composites == []


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
    assert searching.find("PlanDefinition", f"context-type-quantity=s|age$ge252|{UCUM}|mo") == "p"
    assert searching.find("PlanDefinition", f"context-type-quantity=s|age$lt216|{UCUM}|mo") == ""
    assert searching.find("PlanDefinition", f"context-type-quantity=t|age$ge252|{UCUM}|mo") == ""
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
    # A boolean has no system, in a composite as by itself.
    for value in ("value=|true", "characteristic-value=smoker$|true"):
        assert searching.find("Group", value) == "g", value
    assert searching.find("Group", "characteristic-value=smoker$http://example.com|true") == ""


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
