"""fhir_server/search/contained.py"""

from __future__ import annotations

from typing import Any

from fhir_server.crypto.hashing import Hasher
from fhir_server.r4 import definitions
from fhir_server.search import contained, units
from fhir_server.search.index import extract
from fhir_server.search.registry import parameters
from fhir_server.search.types.reference import own_url

HASHER = Hasher(bytes(16))


def rows(*resources: dict[str, Any]) -> Any:
    return extract({"resourceType": "Observation", "status": "final", "contained": list(resources)}, HASHER)


def test_no_two_numbers_are_the_same() -> None:
    """Nor is one that of a parameter of a resource itself: a search would find what it does not ask for."""
    numbers: list[int] = []
    for name in definitions.load().resource_types:
        numbers.append(own_url(name))
        numbers += (contained.marker(name, place).param for place in range(contained.MOST))
        for one in parameters(name).values():
            every = [one, *(contained.parameter_at(one, place) for place in range(contained.MOST))]
            numbers += (each.param for each in every)
            if one.type == "quantity":
                numbers += (units.canonical_param(each.param) for each in every)
    assert len(numbers) == len(set(numbers))


def test_what_a_contained_resource_says_is_not_said_by_the_other() -> None:
    alone = extract({"resourceType": "Observation", "status": "final"}, HASHER)
    patient = {"resourceType": "Patient", "id": "p", "name": [{"family": "Inner"}], "gender": "female"}
    written = rows(patient)
    assert set(alone.tokens) <= set(written.tokens)
    assert set(alone.params) <= set(written.params)
    family = parameters("Patient")["family"]
    assert family.param not in {param for param, _, _ in written.strings}
    assert contained.parameter_at(family, 0).param in {param for param, _, _ in written.strings}
    assert written.patient is None
    assert written.references == []


def test_places_are_counted_by_type_and_end() -> None:
    group = {"resourceType": "Group", "type": "person", "actual": True}
    patients = [{"resourceType": "Patient", "gender": "male"}] * (contained.MOST + 3)
    tokens = set(rows(*patients, group).tokens)
    markers = [HASHER(contained.marker_text("Patient", place)) in tokens for place in range(contained.MOST + 3)]
    assert markers == [True] * contained.MOST + [False] * 3
    assert HASHER(contained.marker_text("Group", 0)) in tokens
