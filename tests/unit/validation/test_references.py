"""References: forms, target types, contained resources. https://hl7.org/fhir/R4/references.html"""

from __future__ import annotations

import time

import pytest

from fhir_server.validation import references
from fhir_server.validation.references import problem

PATIENTS = frozenset({"Patient", "Group"})


@pytest.mark.parametrize(
    "literal",
    [
        "Patient/1",
        "Group/a.b-c",
        "Patient/1/_history/2",
        "Patient?identifier=http://example.org|1",
        "http://example.org/fhir/Patient/1",
        "https://example.org/Patient/1/_history/3",
        "urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
        "urn:oid:1.2.3",
        # Not the URL of a FHIR server as far as one can see: whatever it is, it is not known to be wrong.
        "http://example.org/people/1",
        "ftp://example.org/x",
        "#p",
        "#",
    ],
)
def test_references_that_may_be_right(literal: str) -> None:
    assert problem({"reference": literal}, PATIENTS, {"p": "Patient"}) is None


@pytest.mark.parametrize(
    "literal",
    ["1", "Patient", "Patient/", "patient/1", "Patiant/1", "Patient/a_b", "Patient/1/2", "/Patient/1", "Patient 1",
     "Practitioner/1", "Practitioner?name=x", "http://example.org/Practitioner/1", "#x", "#o", "Patient/" + "a" * 65],
)  # fmt: skip
def test_references_that_are_wrong(literal: str) -> None:
    found = problem({"reference": literal}, PATIENTS, {"p": "Patient", "o": "Organization"})
    assert found is not None
    assert found.element == "reference"


def test_the_container_is_within_reach_of_contained_resources_only() -> None:
    assert problem({"reference": "#"}, PATIENTS, None) is not None


@pytest.mark.parametrize("stated", ["Patient", "http://hl7.org/fhir/StructureDefinition/Group"])
def test_types_by_name_or_url(stated: str) -> None:
    assert problem({"type": stated, "display": "x"}, PATIENTS, None) is None


@pytest.mark.parametrize("stated", ["Device", "patient", "http://hl7.org/fhir/StructureDefinition/Device"])
def test_types_that_are_no_targets(stated: str) -> None:
    found = problem({"type": stated}, PATIENTS, None)
    assert found is not None
    assert found.element == "type"


def test_any_type_is_allowed_where_the_definition_names_none() -> None:
    assert problem({"reference": "Device/1"}, references.resource_types(), None) is None


@pytest.mark.parametrize(
    "literal",
    ["http://" + "a/" * 100_000, "http://" + "Patient/1/" * 20_000 + "!", "A" * 200_000, "x:" * 100_000],
    ids=["slashes", "types", "letters", "schemes"],
)
def test_hostile_references_take_linear_time(literal: str) -> None:
    start = time.process_time()
    problem({"reference": literal}, PATIENTS, None)
    assert time.process_time() - start < 0.5


def test_unreferenced_contained_resources_are_found() -> None:
    resource = {
        "contained": [{"id": "a"}, {"id": "b"}, {"id": "c", "subject": {"reference": "#"}}, {"id": "d"}],
        "x": [{"reference": "#a"}, {"definitionCanonical": "#d"}],
    }
    assert references.unreferenced(resource) == [1]
