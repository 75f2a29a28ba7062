"""Rules in words for people."""

from __future__ import annotations

from typing import get_args

import pytest

from fhir_server.access import relations, words
from fhir_server.access.conditions import About, Condition, Consented, HasAny, Names, Related, Unlabelled
from fhir_server.access.policy import Rule

MINE = ("Practitioner/1", "User/2")


def test_each_condition_has_a_code_of_its_own() -> None:
    assert set(words.KINDS) == set(get_args(Condition))
    assert len(set(words.KINDS.values())) == len(words.KINDS)


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        ((), "every Observation"),
        ((About("Patient/1"),), "each Observation that is about Patient/1"),
        (
            (Related(MINE, (relations.MATTER, relations.BREAK_GLASS)), Consented(MINE)),
            (
                "each Observation that is about a patient to whom Practitioner/1 or User/2 is related now, by matter "
                "or break-glass, and withheld by no consent of its patient"
            ),
        ),
        ((Names(MINE),), "each Observation that is naming Practitioner/1 or User/2"),
        (
            (Unlabelled(("urn:a|R", "urn:b|HIV")), HasAny((7,))),
            "each Observation that is without the security labels R, HIV, and with a value that the scope names",
        ),
    ],
)
def test_rules(conditions: tuple[Condition, ...], said: str) -> None:
    assert words.rule(Rule(frozenset({"Observation"}), conditions), "Observation") == said
