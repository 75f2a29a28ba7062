"""Search expressions as typed paths. https://hl7.org/fhir/R4/searchparameter.html"""

from __future__ import annotations

import pytest

from fhir_server.r4 import definitions
from fhir_server.search.paths import (
    Child,
    First,
    IsTrue,
    Path,
    Unsupported,
    WhereEquals,
    WhereType,
    paths,
    single_valued,
)
from fhir_server.search.registry import parameters


@pytest.mark.parametrize(
    ("expression", "root", "expected"),
    [
        ("Patient.name.given", "Patient", [((Child("name", True), Child("given", True)), "string")]),
        ("Person.name | Patient.birthDate", "Patient", [((Child("birthDate", False),), "date")]),
        ("(Observation.value as Quantity)", "Observation", [((Child("valueQuantity", False),), "Quantity")]),
        (
            "Condition.onset.as(Age) | Condition.onset.as(Range)",
            "Condition",
            [((Child("onsetAge", False),), "Age"), ((Child("onsetRange", False),), "Range")],
        ),
        (
            "Patient.telecom.where(system='phone')",
            "Patient",
            [((Child("telecom", True), WhereEquals("system", "phone")), "ContactPoint")],
        ),
        (
            "Observation.subject.where(resolve() is Patient)",
            "Observation",
            [((Child("subject", False), WhereType("Patient")), "Reference")],
        ),
        ("Bundle.entry[0].resource", "Bundle", [((First("entry"), Child("resource", False)), "Resource")]),
        (
            "Patient.deceased.exists() and Patient.deceased != false",
            "Patient",
            [((IsTrue("deceased", ("deceasedBoolean", "deceasedDateTime")),), "boolean")],
        ),
        ("Resource.meta.profile", "Patient", [((Child("meta", False), Child("profile", True)), "canonical")]),
        ("Person.name", "Patient", []),
    ],
)
def test_paths(expression: str, root: str, expected: list[tuple[tuple[object, ...], str]]) -> None:
    assert [(path.steps, path.type) for path in paths(expression, root)] == expected


def test_components_start_at_their_element_or_at_the_resource() -> None:
    assert paths("value.as(DateTime)", "Observation.component") == (Path((Child("valueDateTime", False),), "dateTime"),)
    found = paths("%resource.referenceSeq.chromosome", "MolecularSequence.variant", in_type="MolecularSequence")
    assert [(path.from_resource, path.type) for path in found] == [(True, "CodeableConcept")]
    assert paths("code", "DocumentReference.relatesTo")[0].value_set.startswith(
        "http://hl7.org/fhir/ValueSet/document-"
    )


@pytest.mark.parametrize(
    "expression",
    [
        "Patient.nothing",
        "Patient.name.count()",
        "Patient.name[1]",
        "Patient.name.where(use != 'old')",
        "Patient.name.as(Age)",
    ],
)
def test_what_is_outside_of_the_subset_is_refused(expression: str) -> None:
    with pytest.raises(Unsupported):
        paths(expression, "Patient")


@pytest.mark.parametrize(
    ("resource_type", "code", "expected"),
    [
        ("Observation", "date", True),
        ("Encounter", "date", True),
        ("Observation", "patient", True),
        ("Condition", "onset-date", True),
        ("CarePlan", "activity-date", False),
        ("Patient", "name", False),
        ("Patient", "identifier", False),
        ("Bundle", "composition", True),
        ("Group", "value", False),
        ("DocumentReference", "identifier", False),
    ],
)
def test_single_valued(resource_type: str, code: str, expected: bool) -> None:
    assert single_valued(parameters(resource_type)[code].expression, resource_type) is expected


def test_every_clinical_date_is_a_date_with_values() -> None:
    for resource_type, code in definitions.load().date_param.items():
        parameter = parameters(resource_type)[code]
        assert parameter.type == "date"
        assert paths(parameter.expression, resource_type)
