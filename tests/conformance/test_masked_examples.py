"""What is left of published resources for those who see a part is valid. docs/access.md, "Roles" """

from __future__ import annotations

import functools
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.access.elements import ABSENT, MASKS, masked, shown
from fhir_server.r4 import definitions
from fhir_server.validation.structure import is_valid
from tests.conformance.test_examples_validate import DATA, errors_of, read, second_opinion
from tests.unit.validation import generate

pytestmark = pytest.mark.skipif(not DATA.exists(), reason="the official definitions and examples are not here")

TYPES = sorted({name for types in MASKS.values() for name in types})
UNKNOWN = {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}


@functools.lru_cache(maxsize=1)
def examples() -> list[dict[str, Any]]:
    found = [one for _, one in read("examples.zip") if one["resourceType"] in TYPES and is_valid(one)]
    assert {one["resourceType"] for one in found} == set(TYPES)
    return found


def test_what_is_left_of_every_example_is_valid() -> None:
    for example in examples():
        for mask in MASKS:
            check(example, shown(mask, example["resourceType"]))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_what_is_left_of_changed_examples_is_valid(seed: int) -> None:
    """Elements without values, nested extensions, references to what is contained."""
    rng = random.Random(seed)
    resource = changed(rng, rng.choice(examples()))
    some = [shown(mask, resource["resourceType"]) for mask in rng.sample(sorted(MASKS), 2)]
    if is_valid(resource):
        check(resource, rng.choice((some[0] | some[1], some[0] & some[1])))


def changed(rng: random.Random, resource: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = generate.mutated(rng, resource) if rng.random() < 0.5 else dict(resource)
    if made.get("resourceType") not in TYPES:
        return dict(resource)
    types = definitions.load().types
    for element in types[made["resourceType"]].elements.values():
        for name, of in element.json_names().items():
            primitive = types[of.code].kind == "primitive"
            if name not in made or rng.random() < 0.6 or name in ("id", "resourceType", "meta", "text", "contained"):
                continue
            if primitive and element.max == 1:
                del made[name]
                made[f"_{name}"] = UNKNOWN
            elif primitive:
                made[name] = [None, *made[name]]
                made[f"_{name}"] = [UNKNOWN, *[None] * (len(made[name]) - 1)]
            elif of.code == "Reference":
                local = {"reference": "#inside"}
                made[name] = local if element.max == 1 else [local, *made[name]]
                made["contained"] = [{"resourceType": of.targets[0] if of.targets else "Basic", "id": "inside"}]
    if rng.random() < 0.3:
        made["modifierExtension"] = [{"url": "http://example.org/not", "valueBoolean": True}]
    return made


def check(resource: dict[str, Any], wanted: frozenset[str]) -> None:
    made = masked(resource, wanted)
    assert is_valid(made), (errors_of(made), made)
    assert made["meta"]["tag"][-1]["code"] == "SUBSETTED"
    # fhir.resources does not know extensions of extensions' values, and that an extension satisfies a required choice.
    if not any(name.startswith("_") for name in made) and second_opinion(resource):
        assert second_opinion(made), made
    elements = {name: one for one in elements_of(resource) for name in one.json_names()}
    for name in set(made) & set(elements):
        hidden = elements[name].name not in wanted and name not in ("id", "meta", "implicitRules", "modifierExtension")
        assert not hidden or made[name] in ({"extension": MASKED}, [{"extension": MASKED}]), name


MASKED = [{"url": ABSENT, "valueCode": "masked"}]


def elements_of(resource: dict[str, Any]) -> list[Any]:
    return list(definitions.load().types[resource["resourceType"]].elements.values())
