"""Parameters of the URL and of a body are one list of texts."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.errors import BadRequest
from fhir_server.interactions.operation_parameters import pairs_of
from fhir_server.r4 import json


def body(**values: Any) -> dict[str, Any]:
    parameters = [{"name": "x", name: value} for name, value in values.items()]
    return {"resourceType": "Parameters", "parameter": parameters}


def test_those_of_the_url_come_first() -> None:
    found = pairs_of("$x", [("a", "1"), ("_format", "json"), ("_pretty", "true")], body(valueString="2"))
    assert found == [("a", "1"), ("x", "2")]
    assert pairs_of("$x", [], None) == pairs_of("$x", [], {"resourceType": "Parameters"}) == []


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("valueBoolean", True, "true"),
        ("valueInteger", 3, "3"),
        ("valueDecimal", json.parse("1.50"), "1.50"),
        ("valueDate", "2020-01", "2020-01"),
        ("valueReference", {"reference": "Patient/1"}, "Patient/1"),
        ("valueCoding", {"system": "urn:s", "code": "c"}, "urn:s|c"),
        ("valueCoding", {"code": "c"}, "c"),
        ("valueCodeableConcept", {"coding": [{"system": "urn:s", "code": "c"}]}, "urn:s|c"),
    ],
)
def test_values_as_texts(name: str, value: Any, text: str) -> None:
    assert pairs_of("$x", [], body(**{name: value})) == [("x", text)]


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        "x",
        {},
        {"resourceType": "Patient"},
        {"resourceType": "Parameters", "parameter": {}},
        {"resourceType": "Parameters", "parameter": [1]},
        {"resourceType": "Parameters", "parameter": [{"valueString": "x"}]},
        {"resourceType": "Parameters", "parameter": [{"name": 1, "valueString": "x"}]},
        {"resourceType": "Parameters", "parameter": [{"name": "x"}]},
        {"resourceType": "Parameters", "parameter": [{"name": "x", "valueString": "x", "valueCode": "x"}]},
        body(valueQuantity={"value": 1}),
        body(valueCodeableConcept={"coding": [{"code": "a"}, {"code": "b"}]}),
        body(valueString=None),
    ],
)
def test_what_is_refused(wrong: Any) -> None:
    with pytest.raises(BadRequest):
        pairs_of("$x", [], wrong)
