"""The invariants written by hand, held against their FHIRPath. https://hl7.org/fhir/R4/conformance-rules.html#constraints"""

from __future__ import annotations

import random
from typing import Any

import pytest

from fhir_server.r4 import definitions
from fhir_server.validation import invariants, rules
from fhir_server.validation.invariant_words import WORDS
from tests.unit.validation import generate

# Where the hand-written invariant is more lenient than its FHIRPath, which has no answer there:
UNDECIDED = {
    "rng-2": "a Quantity without a value, or of another unit, cannot be compared",
    "tim-9": "`in` cannot take several values of when",
}
# Checked on the whole resource instead of the part that they stand on.
MOVED = {"sdf-8", "sdf-8a"}


def places() -> list[tuple[str, str]]:
    """Each hand-written invariant with each type that it stands on."""
    found = []
    for name in definitions.load().types:
        type_rules = rules.of(name)
        found += [(key, name) for key in type_rules.invariants + type_rules.warnings if key in invariants.EXPRESSIONS]
    return [(key, name) for key, name in found if key not in MOVED and key != "dom-6"]


@pytest.mark.parametrize(("key", "type_name"), places())
def test_hand_written_invariants_mean_what_their_fhirpath_means(key: str, type_name: str) -> None:
    rng = random.Random(key + type_name)
    by_hand, by_fhirpath = invariants.predicate(key, type_name), invariants.compiled(key, type_name)
    for _ in range(150):
        node = generate.node(rng, type_name, rng.choice((0.2, 0.5, 0.9)))
        hand, path = by_hand(node), by_fhirpath(node)
        if hand != path:
            # A primitive that only has an extension has no value to compare: FHIRPath has no answer, ours is yes.
            assert hand
            assert key in UNDECIDED or any(name.startswith("_") for name in _names(node)), node


def _names(tree: Any) -> set[str]:
    if isinstance(tree, list):
        return set().union(*map(_names, tree)) if tree else set()
    if not isinstance(tree, dict):
        return set()
    return set(tree).union(*map(_names, tree.values()))


@pytest.mark.parametrize(
    ("key", "type_name", "holds", "breaks"),
    [
        ("dom-6", "Patient", {"text": {"div": "x"}}, {}),
        ("org-2", "Address", {"use": "work"}, {"use": "home"}),
        ("org-3", "ContactPoint", {"use": "work"}, {"use": "home"}),
        ("que-12", "Questionnaire.item", {"enableWhen": [{}, {}]}, {"enableWhen": [{}, {}, {}]}),
        ("bdl-8", "Bundle.entry", {"fullUrl": "http://a/Patient/1"}, {"fullUrl": "http://a/Patient/1/_history/1"}),
        ("tim-9", "Timing.repeat", {"offset": 1, "when": ["ACM"]}, {"offset": 1, "when": ["CM"]}),
        (
            "rng-2",
            "Range",
            {"low": {"value": 2, "unit": "g"}, "high": {"value": 1, "unit": "kg"}},
            {"low": {"value": 2, "unit": "g"}, "high": {"value": 1, "unit": "g"}},
        ),
        (
            "sdf-8",
            "StructureDefinition",
            {"kind": "resource", "type": "A", "snapshot": {"element": [{"path": "A"}, {"path": "A.b"}]}},
            {"kind": "resource", "type": "A", "snapshot": {"element": [{"path": "A"}, {"path": "B.b"}]}},
        ),
        (
            "sdf-8a",
            "StructureDefinition",
            {"kind": "resource", "type": "A", "differential": {"element": [{"path": "A.c"}, {"path": "A.b"}]}},
            {"kind": "resource", "type": "A", "differential": {"element": [{"path": "B"}]}},
        ),
        ("bdl-11", "Bundle",
            {"type": "document", "entry": [{"resource": {"resourceType": "Composition"}}]},
            {"type": "document"}),
        ("con-4", "Condition", {
            "abatementString": "x",
            "clinicalStatus": {"coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "resolved"}
            ]},
        }, {"abatementString": "x"}),
        ("ctm-1", "CareTeam.participant",
            {"onBehalfOf": {"display": "x"}, "member": {"reference": "Practitioner/1"}},
            {"onBehalfOf": {"display": "x"}, "member": {"reference": "Patient/1"}}),
        ("csd-1", "CodeSystem",
            {"concept": [{"code": "a", "concept": [{"code": "b"}]}]},
            {"concept": [{"code": "a", "concept": [{"code": "a"}]}]}),
    ],
)  # fmt: skip
def test_what_generated_nodes_seldom_meet(
    key: str, type_name: str, holds: dict[str, Any], breaks: dict[str, Any]
) -> None:
    assert invariants.predicate(key, type_name)(holds)
    assert not invariants.predicate(key, type_name)(breaks)


@pytest.mark.parametrize("value", ["*", "0", "12"])
def test_eld_3_takes_a_number_or_a_star(value: str) -> None:
    assert invariants.predicate("eld-3", "string")(value)
    assert not invariants.predicate("eld-3", "string")(value + "x")


@pytest.mark.parametrize(
    ("start", "end", "ordered"),
    [
        ("2020", "2020", True),
        ("2021", "2020", False),
        ("2020-02", "2020", True),
        ("2020-02-03T10:00:00Z", "2020-02-03", True),
        ("2020-02-04T10:00:00Z", "2020-02-03", False),
        ("2020-02-03T10:00:00Z", "2020-02-03T09:59:59Z", False),
        ("2020-02-03T10:00:00+02:00", "2020-02-03T08:00:00Z", True),
        ("2020-02-03T10:00:01+02:00", "2020-02-03T08:00:00Z", False),
        ("2020-02-03T10:00:00.5Z", "2020-02-03T10:00:00.25Z", False),
        ("2020-02-03T10:00:00.00000000000000001Z", "2020-02-03T10:00:00+00:00", True),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.0Z", True),
        ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", True),
        ("9999-12-31T23:59:60-12:00", "0001-01-01T00:00:00+14:00", False),
    ],
)
def test_periods_are_compared_as_far_as_their_precision_goes(start: str, end: str, ordered: bool) -> None:
    assert invariants.predicate("per-1", "Period")({"start": start, "end": end}) is ordered


def test_every_invariant_of_severity_error_can_be_judged() -> None:
    for name in definitions.load().types:
        type_rules = rules.of(name)
        for key in type_rules.invariants + type_rules.warnings:
            node = {"resourceType": name} if type_rules.is_resource else {"id": "x"}
            assert invariants.predicate(key, name)(node) in (True, False)


def test_words_are_about_known_invariants() -> None:
    assert WORDS.keys() <= definitions.load().constraints.keys()
