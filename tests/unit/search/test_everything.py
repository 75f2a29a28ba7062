"""The statements of $everything, against the compartments as they are defined."""

from __future__ import annotations

import pytest

from fhir_server.access.policy import EVERYTHING, of_types
from fhir_server.crypto.hashing import Hasher
from fhir_server.r4 import definitions
from fhir_server.search import everything
from fhir_server.search.everything import Focus, Wanted
from fhir_server.search.registry import Parameter, parameters

HASHER = Hasher(b"0123456789abcdef")
FOCUS = Focus("Patient", 7)


@pytest.mark.parametrize("name", ["Patient", "Encounter"])
def test_memberships_are_the_references_of_the_compartment(name: str) -> None:
    known: dict[int, Parameter] = {}
    for member in definitions.load().resource_types:
        known |= {p.param: p for p in parameters(member).values()}
    found = [known[param] for param in everything.memberships(name)]
    assert {p.type for p in found} == {"reference"}
    expected = {(m, code) for m, codes in definitions.load().compartments[name].items() for code in codes}
    assert {(p.resource_type, p.code) for p in found} == expected - {(name, "{def}")}


def test_what_is_not_asked_for_is_not_tested() -> None:
    text, _ = everything.members(1, HASHER, FOCUS, Wanted(), EVERYTHING, 0, 10)
    assert "date_low" not in text
    assert "last_updated >=" not in text
    assert "r.type_id = ANY" not in text


def test_access_and_types_are_both_in_every_statement() -> None:
    ids = definitions.load().type_ids
    access, wanted = of_types("Observation", "Encounter"), Wanted(types=("Encounter", "Patient"))
    for text, values in (
        everything.members(1, HASHER, FOCUS, wanted, access, 0, 10),
        everything.referred(1, HASHER, FOCUS, wanted, access, [1], 0, 10),
    ):
        assert text.count("r.type_id = ANY") == 2
        assert [ids["Encounter"], ids["Observation"]] in values
        assert [ids["Encounter"], ids["Patient"]] in values
    # What is referred to counts only where the caller may see who refers.
    text, values = everything.references(1, HASHER, FOCUS, wanted, access)
    assert [ids["Encounter"], ids["Observation"]] in values


def test_types_with_attachments() -> None:
    names = {number: name for name, number in definitions.load().type_ids.items()}
    found = {names[number] for number in everything._with_attachments()}
    assert {"DocumentReference", "Patient", "DiagnosticReport", "Media"} <= found
    assert not {"Observation", "Encounter", "Binary"} & found
