"""Masks show what they list and nothing else. docs/access.md"""

from __future__ import annotations

import pytest

from fhir_server.access.elements import MASKS, masked, shown
from fhir_server.access.roles import ROLES
from fhir_server.r4 import definitions

PAIRS = [(mask, name) for mask, types in MASKS.items() for name in types]


@pytest.mark.parametrize(("mask", "name"), PAIRS)
def test_what_a_mask_shows_is_there_and_is_valid(mask: str, name: str) -> None:
    """Nothing that the specification asks of every resource is hidden: what is left is a resource still."""
    elements = {element.name: element for element in definitions.load().types[name].elements.values()}
    assert shown(mask, name) <= set(elements)
    assert {one.name for one in elements.values() if one.min} <= shown(mask, name)
    assert not shown(mask, name) & {"text", "contained", "extension", "modifierExtension", "note", "photo"}


def test_each_grant_in_part_has_a_mask_for_each_of_its_types() -> None:
    for role in ROLES.values():
        for grant in role.grants:
            if grant.elements:
                assert grant.types <= set(MASKS[grant.elements]), role.name
                assert set(grant.letters) <= set("rs"), "who sees a part cannot write the whole"


def test_a_masked_resource() -> None:
    given = {
        "resourceType": "Condition", "id": "c", "meta": {"versionId": "3", "tag": [{"code": "a"}], "extension": [{}]},
        "text": {"div": "secret"}, "onsetDateTime": "2020", "_onsetDateTime": {"extension": [{}]},
        "code": {"text": "Asthma"}, "note": [{"text": "secret"}], "contained": [{"resourceType": "Patient"}],
        "extension": [{"url": "x", "valueString": "secret"}], "subject": {"reference": "Patient/1"},
    }  # fmt: skip
    before = repr(given)
    made = masked("codes", given)
    assert made == {
        "resourceType": "Condition", "id": "c",
        "meta": {
            "versionId": "3",
            "tag": [
                {"code": "a"},
                {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"},
            ],
        },
        "onsetDateTime": "2020", "code": {"text": "Asthma"}, "subject": {"reference": "Patient/1"},
    }  # fmt: skip
    assert repr(given) == before
    assert masked("codes", made) == made


def test_a_type_that_a_mask_does_not_list_shows_nothing() -> None:
    made = masked("codes", {"resourceType": "Observation", "id": "o", "status": "final"})
    assert set(made) == {"resourceType", "id", "meta"}
