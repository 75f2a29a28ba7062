"""Primitive extensions: what ``_name`` may hold, and what it makes exist. https://hl7.org/fhir/R4/json.html#primitive"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.validation.issues import issues
from fhir_server.validation.structure import is_valid

EXTENSION = {"extension": [{"url": "http://example.org/x", "valueCode": "y"}]}
OBSERVATION = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}


def judge(resource: dict[str, Any]) -> bool:
    """The judgement of both passes, which must be one."""
    found = not issues(resource, warnings=False)
    assert is_valid(resource) is found
    return found


@pytest.mark.parametrize(
    ("elements", "valid"),
    [
        ({"birthDate": "2020", "_birthDate": {"id": "a"}}, True),
        ({"birthDate": "2020", "_birthDate": EXTENSION}, True),
        ({"_birthDate": EXTENSION}, True),
        ({"_birthDate": {"id": "a"}}, False),
        ({"birthDate": "2020", "_birthDate": {}}, False),
        ({"birthDate": "2020", "_birthDate": None}, False),
        ({"birthDate": "2020", "_birthDate": []}, False),
        ({"birthDate": "2020", "_birthDate": [EXTENSION]}, False),
        ({"birthDate": "2020", "_birthDate": {"id": "a b"}}, False),
        ({"birthDate": "2020", "_birthDate": {"foo": "a"}}, False),
        ({"birthDate": "2020", "_birthDate": {"_id": {}}}, False),
        ({"birthDate": "2020", "_birthDate": {"extension": []}}, False),
        ({"birthDate": None, "_birthDate": EXTENSION}, False),
        ({"birthDate": ["2020"], "_birthDate": EXTENSION}, False),
        ({"birthDate": "2020-99", "_birthDate": EXTENSION}, False),
        ({"active": [True], "_active": EXTENSION}, False),
        ({"_maritalStatus": EXTENSION}, False),
        ({"_foo": EXTENSION}, False),
        ({"_": EXTENSION}, False),
        ({"id": "a", "_id": EXTENSION}, False),
        ({"_resourceType": EXTENSION}, False),
        ({"deceasedBoolean": True, "_deceasedBoolean": EXTENSION}, True),
        ({"deceasedBoolean": True, "_deceasedDateTime": EXTENSION}, False),
    ],
)
def test_of_single_primitives(elements: dict[str, Any], valid: bool) -> None:
    assert judge({"resourceType": "Patient", **elements}) is valid


@pytest.mark.parametrize(
    ("given", "sibling", "valid"),
    [
        (["A", "B"], [None, EXTENSION], True),
        ([None, "B"], [EXTENSION, None], True),
        ([None, "B"], [EXTENSION, {"id": "b"}], True),
        (None, [EXTENSION], True),
        ([None, "B"], [None, EXTENSION], False),
        (["A"], [None, EXTENSION], False),
        (["A", "B"], [EXTENSION], False),
        (["A"], EXTENSION, False),
        ("A", [EXTENSION], False),
        ([], [EXTENSION], False),
        (["A"], [], False),
        ([None], [{"id": "a"}], False),
        ([1], [EXTENSION], False),
        ([""], [EXTENSION], False),
        ([["A"]], [EXTENSION], False),
    ],
)
def test_of_repeating_primitives(given: Any, sibling: Any, valid: bool) -> None:
    name = {"_given": sibling} if given is None else {"given": given, "_given": sibling}
    assert judge({"resourceType": "Patient", "name": [name]}) is valid


def test_an_extension_alone_satisfies_a_requirement() -> None:
    without = {"resourceType": "Observation", "code": {"text": "x"}}
    assert not judge(without)
    assert judge({**without, "_status": EXTENSION})


def test_invariants_take_what_has_extensions_only_as_existing() -> None:
    absent = {"dataAbsentReason": {"text": "x"}}
    assert not judge({**OBSERVATION, **absent, "_valueString": EXTENSION})
    assert judge({**OBSERVATION, "valueQuantity": {"value": 1, "code": "g", "_system": EXTENSION}})


def test_an_extension_may_have_its_value_in_a_sibling() -> None:
    assert judge({**OBSERVATION, "extension": [{"url": "http://a", "_valueString": EXTENSION}]})
    both = {"url": "http://a", "_valueString": EXTENSION, **EXTENSION}
    assert not judge({**OBSERVATION, "extension": [both]})
    assert not judge({**OBSERVATION, "extension": [{"url": "http://a", "_url": EXTENSION, "valueString": "x"}]})
