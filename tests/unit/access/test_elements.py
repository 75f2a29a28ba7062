"""Masks show what they list and nothing else. docs/access.md"""

from __future__ import annotations

import pytest

from fhir_server.access.elements import ABSENT, MASKS, masked, shown
from fhir_server.access.roles import ROLES
from fhir_server.r4 import definitions
from fhir_server.validation import validate

MASKED = {"extension": [{"url": ABSENT, "valueCode": "masked"}]}
PAIRS = [(mask, name) for mask, types in MASKS.items() for name in types]


@pytest.mark.parametrize(("mask", "name"), PAIRS)
def test_what_a_mask_shows_is_there_and_is_valid(mask: str, name: str) -> None:
    """Nothing that the specification asks of every resource is hidden: what is left is a resource still."""
    elements = {element.name: element for element in definitions.load().types[name].elements.values()}
    assert shown(mask, name) <= set(elements)
    assert {one.name for one in elements.values() if one.min} <= shown(mask, name)
    apart = {"implicitRules", "modifierExtension"}
    assert {one.name for one in elements.values() if one.modifier} - apart <= shown(mask, name), "else it is misread"
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
    made = masked(given, shown("codes", "Condition"))
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
    assert masked(made, shown("codes", "Condition")) == made


def test_a_type_that_a_mask_does_not_list_shows_nothing() -> None:
    given = {"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "x"}, "valueInteger": 1}
    made = masked(given, shown("codes", "Observation"))
    assert made | {"meta": 0} == {
        "resourceType": "Observation", "id": "o", "meta": 0, "_status": MASKED, "code": MASKED
    }  # fmt: skip
    validate(made)


def test_what_is_asked_for_and_hidden_says_that_it_is_masked() -> None:
    given = {
        "resourceType": "Encounter", "_status": {"extension": [{"url": ABSENT, "valueCode": "unknown"}]},
        "_class": None, "class": {"code": "AMB"}, "meta": {"versionId": "1"},
    }  # fmt: skip
    made = masked(given, shown("schedule", "Encounter"))
    assert made["_status"] == {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}, "there is nothing to hide"
    given["_status"] = {"extension": [{"url": "http://example.org/secret", "valueString": "secret"}]}
    made = masked(given, shown("schedule", "Encounter"))
    assert made["_status"] == MASKED
    validate(made)


def test_what_is_contained_is_not_referred_to() -> None:
    given = {
        "resourceType": "Procedure", "status": "completed", "contained": [{"resourceType": "Patient", "id": "x"}],
        "subject": {"reference": "#x", "display": "Somebody"}, "reasonReference": [{"reference": "Condition/1"}],
    }  # fmt: skip
    made = masked(given, shown("codes", "Procedure"))
    assert made["subject"] == {"display": "Somebody", **MASKED}
    assert made["reasonReference"] == given["reasonReference"]
    validate(made)


def test_that_something_changes_the_meaning_is_told_and_not_what() -> None:
    given = {
        "resourceType": "Condition", "subject": {"reference": "Patient/1"}, "implicitRules": "http://example.org/rules",
        "modifierExtension": [{"url": "http://example.org/not", "valueString": "secret"}],
    }  # fmt: skip
    made = masked(given, shown("codes", "Condition"))
    assert made["modifierExtension"] == [{"url": "http://example.org/not", **MASKED}]
    assert made["implicitRules"] == "http://example.org/rules"
    validate(made)
