"""Whole resources asked for field by field come out as they are; @flatten and its like shape what comes."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.graphql import schema
from fhir_server.graphql.document import Limits
from fhir_server.graphql.problems import RequestError
from fhir_server.r4 import definitions
from tests.factories.full_resources import full
from tests.unit.graphql.asking import answer, everything, present

WIDE = Limits(depth=40, fields=100_000, length=1_000_000, tokens=1_000_000)
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p",
    "name": [
        {"use": "official", "given": ["Ann", "Bea"], "_given": [None, {"extension": [{"url": "urn:x"}]}]},
        {"use": "usual", "text": "Annie", "period": {"start": "2020"}},
    ],
    "contact": [{"name": {"family": "A"}}, {"name": {"family": "B"}}, {"gender": "male"}],
}


@pytest.mark.parametrize("resource_type", definitions.load().resource_types)
def test_a_whole_resource(resource_type: str) -> None:
    for turn in range(2):
        elements = schema.elements(resource_type)
        resource = {name: value for name, value in full(resource_type, turn).items() if name in elements}
        found = answer(resource, everything(resource), WIDE)
        assert "errors" not in found
        assert present(found["data"]) == resource


def ask(query: str) -> Any:
    found = answer(PATIENT, query)
    assert "errors" not in found, found
    return found["data"]


def test_order_is_the_querys() -> None:
    assert list(ask("{ name { text } id ...f resourceType } fragment f on Patient { active id }")) == [
        "name", "id", "active", "resourceType",
    ]  # fmt: skip


def test_fields_of_one_name_are_merged() -> None:
    assert ask("{ contact { name { family } } ... on Patient { contact { gender } } }")["contact"][2] == {
        "name": None, "gender": "male",
    }  # fmt: skip
    with pytest.raises(RequestError):
        ask('{ name(use: "usual") { text } name(use: "official") { text } }')


def test_nulls_keep_their_places() -> None:
    found = ask("{ name { given _given { extension { url } } } }")["name"][0]
    assert found == {"given": ["Ann", "Bea"], "_given": [None, {"extension": [{"url": "urn:x"}]}]}


def test_flatten() -> None:
    assert ask("{ contact @flatten { name @flatten { family } gender } }") == {"family": ["A", "B"], "gender": ["male"]}
    assert ask("{ contact @first @flatten { name @flatten { family @singleton } } }") == {"family": "A"}
    assert ask("{ name @flatten { period @flatten { start } } }") == {"start": ["2020"]}


def test_singletons_are_single() -> None:
    found = answer(PATIENT, "{ contact @flatten { gender } name @singleton { text } }")
    assert found["data"] == {"gender": ["male"], "name": None}
    assert found["errors"][0]["path"] == ["name"]


def test_slices() -> None:
    found = ask('{ name @slice(fhirpath: "use") { given @slice(fhirpath: "$index") } }')
    assert found == {
        "name.official": {"given.0": "Ann", "given.1": "Bea"},
        "name.usual": {},
    }
    broken = answer(PATIENT, '{ name @slice(fhirpath: "text") { use } }')
    assert broken["errors"][0]["extensions"]["code"] == "invalid"


@pytest.mark.parametrize(
    ("arguments", "uses"),
    [
        ("(use: official)", ["official"]),
        ('(use: "usual")', ["usual"]),
        ("(use: nickname)", None),
        ("(_count: 1)", ["official"]),
        ("(_offset: 1)", ["usual"]),
        ("(_offset: 5)", None),
        ('(fhirpath: "given.count() = 2")', ["official"]),
        ('(fhirpath: "text")', None),
        ("(fhirpath: \"%resource.id = 'p'\", _offset: 1)", ["usual"]),
        ('(use: usual, text: "Annie")', ["usual"]),
        ('(use: usual, text: "Bob")', None),
    ],
)
def test_lists_are_navigated(arguments: str, uses: list[str] | None) -> None:
    found = ask(f"{{ name{arguments} {{ use }} }}")["name"]
    assert (found and [one["use"] for one in found]) == uses


def test_limits_of_the_answer() -> None:
    for limits in (Limits(values=3), Limits(fields=2)):
        with pytest.raises(RequestError):
            answer(PATIENT, "{ name { use text } id }", limits)
    with pytest.raises(RequestError):
        answer(
            PATIENT, "{ " + " ".join(f'a{n}: name(fhirpath: "1/") {{ use }}' for n in range(9)) + " }", Limits(errors=5)
        )
