"""Scopes in plain words."""

from __future__ import annotations

import pytest

from fhir_server.console.scope_words import actions, title


@pytest.mark.parametrize(
    ("scope", "about", "may"),
    [
        ("patient/Observation.rs", "Measurements and test results", "see"),
        ("patient/Condition.cruds", "Conditions and diagnoses", "see, add, change and delete"),
        ("patient/MolecularSequence.c", "Molecular sequence", "add"),
        ("user/Patient.r", "Name, address and date of birth", "see — of every patient that you may see"),
        (
            "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory",
            "Measurements and test results: Laboratory results",
            "see",
        ),
        ("openid", "Know that it is you", ""),
        ("something-else", "something-else", ""),
    ],
)
def test_words(scope: str, about: str, may: str) -> None:
    assert (title(scope), actions(scope)) == (about, may)
