"""Queries made to break the server: answered, refused, never a 500. https://spec.graphql.org/October2021/"""

from __future__ import annotations

import random
import time

import pytest

from tests.functional.conftest import Api
from tests.functional.test_graphql import ANN, ask, world

__all__ = ["world"]

FIELDS = (
    "id",
    "name",
    "name { family }",
    "contained { id ... on Organization { name } }",
    "resourceType",
    "__typename",
    "managingOrganization",
    "resource",
    "resource { ... on Patient { id } ... on Organization { name } }",
    "meta { tag }",
    "ObservationList(_reference: subject)",
    "ObservationConnection(_reference: subject) { edges { resource { id } } }",
    "contact { name { given } }",
    "PatientList",
    "Patient(id: 1)",
    "__schema { types { name } }",
    "birthDate",
    "_birthDate",
    "extension { valueReference { resource(optional: true) { id } } }",
    "x: id",
    "x: gender",
    "link { other { id } }",
)
ARGUMENTS = (
    "(use: official)",
    "(_count: 1)",
    "(_count: 99999999999999999999)",
    '(fhirpath: "((")',
    '(fhirpath: "$this")',
    '(fhirpath: "repeat(children()).count() > 0")',
    '(name: "a")',
    '(_sort: "-_id")',
    "(_sort: nonsense)",
    "(id: $v)",
    '(_filter: "name eq x")',
    '(code: "|")',
    "(_reference: patient, date: [ge2020, le2021])",
    '(_cursor: "x")',
    "()",
    '(fhirpath: "%resource.descendants().descendants().count() > 1")',
    "(optional: true)",
    "(type: Patient)",
    "(use: [a])",
    "(fhirpath: \"'a'.matches('(a+)+$')\")",
    "(_count: -1)",
    "(_offset: 1, _count: 0)",
    '(name_nonsense: "a")',
)
DIRECTIVES = (
    "@first",
    "@singleton",
    "@flatten",
    '@slice(fhirpath: "use")',
    '@slice(fhirpath: "$index")',
    "@skip(if: true)",
    '@slice(fhirpath: "1/0")',
    "@include(if: $v)",
    "@nonsense",
    "@first @singleton @flatten",
    '@slice(path: "children()")',
)


ALL = "%resource.descendants()"


def made(chance: random.Random, depth: int = 0) -> str:
    """A selection set put together at random, broken now and then."""
    parts = []
    for _ in range(chance.randint(1, 4)):
        text = chance.choice(FIELDS)
        if chance.random() < 0.25 and "(" not in text:
            head, brace, rest = text.partition(" {")
            text = head + chance.choice(ARGUMENTS) + brace + rest
        if chance.random() < 0.25:
            head, brace, rest = text.partition(" {")
            text = f"{head} {chance.choice(DIRECTIVES)}{brace}{rest}"
        if depth < 4 and "{" not in text and chance.random() < 0.5:
            text += made(chance, depth + 1)
        parts.append(text)
    if chance.random() < 0.1:
        parts.append("...f")
    return "{ " + " ".join(parts) + " }"


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_asked_it_is_no_failure_of_the_server(world: Api, seed: int) -> None:
    chance = random.Random(seed)
    answered = 0
    for _ in range(150):
        query = made(chance)
        if chance.random() < 0.3:
            query = "query($v: Boolean = true) " + query
        if chance.random() < 0.3:
            query += " fragment f on Patient " + made(chance, 3)
        if chance.random() < 0.05:
            place = chance.randrange(len(query))
            query = query[:place] + chance.choice('{}()@$:"\\\0') + query[place:]
        answer = ask(world, query, chance.choice((ANN, ANN, "")))
        assert answer.status in (200, 400), (query, answer.data)
        answered += answer.status == 200
        assert ("data" in answer.json) == (answer.status == 200)
    assert answered


@pytest.mark.parametrize(
    "query",
    [
        f'{{ name(fhirpath: "{ALL}.select({ALL}.select({ALL}.select({ALL}))).exists()") {{ use }} }}',
        "{ name(fhirpath: \"'" + "a" * 400 + "'.matches('(a+)+(a+)+(a+)+b')\") { use } }",
        "{ "
        + " ".join(f'a{n}: name(fhirpath: "repeat(%resource.children()).exists()") {{ use }}' for n in range(300))
        + " }",
        "{ __schema { types { fields { name args { name type { name ofType { name } } } type { name } } } } }",
        "{ " + " ".join(f"a{n}: __schema {{ types {{ name }} }}" for n in range(400)) + " }",
    ],
    ids=["nested loops", "regular expression", "many expressions", "whole schema", "schema again and again"],
)
def test_what_takes_long_is_cut_off(world: Api, query: str) -> None:
    begun = time.monotonic()
    answer = ask(world, query, ANN)
    assert answer.status in (200, 400)
    assert time.monotonic() - begun < 20
