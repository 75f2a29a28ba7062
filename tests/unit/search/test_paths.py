"""Search expressions as typed paths. https://hl7.org/fhir/R4/searchparameter.html"""

from __future__ import annotations

import pytest

from fhir_server.r4 import definitions
from fhir_server.search.paths import (
    Child,
    Computed,
    First,
    IsTrue,
    OfType,
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
    ("expression", "types"),
    [
        ("Patient.name.count()", ["integer"]),
        ("Patient.name[1]", ["HumanName"]),
        ("Patient.name.given[0]", ["string"]),
        ("Patient.name.where(use != 'old')", ["HumanName"]),
        ("Patient.name.where(given = 'x')", ["HumanName"]),
        ("Patient.name.select(given.first() & ' ' & family)", ["string"]),
        ("Patient.name.family.lower() | Patient.name.given.exists()", ["string", "boolean"]),
        ("Patient.birthDate.extension('urn:x').value.ofType(dateTime)", ["dateTime"]),
        ("iif(Patient.active, Patient.birthDate, Patient.deceased.ofType(dateTime))", ["date", "dateTime"]),
        ("Patient.name.`family`.where($this = 'x')", ["string"]),
        ("Patient.multipleBirth is integer", ["boolean"]),
    ],
)
def test_what_is_no_walk_is_computed(expression: str, types: list[str]) -> None:
    found = paths(expression, "Patient")
    assert [path.type for path in found] == types
    for path in found:
        computed, of_type = path.steps
        assert isinstance(computed, Computed)
        assert of_type == OfType(path.type)
        assert path.many
    assert not single_valued(expression, "Patient")


def test_standard_parameters_are_all_walks() -> None:
    for resource_type in definitions.load().resource_types:
        for parameter in parameters(resource_type).values():
            for path in paths(parameter.expression, resource_type) if parameter.expression else ():
                assert not any(isinstance(step, Computed) for step in path.steps), parameter


def test_an_extension_by_its_url_is_a_walk() -> None:
    found = paths("Patient.extension('urn:x').value.ofType(code)", "Patient")
    assert found == paths("Patient.extension.where(url = 'urn:x').value.ofType(code)", "Patient")
    assert found == (Path((Child("extension", True), WhereEquals("url", "urn:x"), Child("valueCode", False)), "code"),)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("Patient.nothing", "Patient has no element nothing, at character 9"),
        ("Patient.name.first().famly", "HumanName has no element famly; did you mean family, at character 22"),
        ("Patient.name.as(Age)", "no Age among HumanName, at character 17"),
        ("Patient.name.ofType(Nonsense)", "Nonsense is no type"),
        ("Patient.deceasd.exists() and Patient.deceasd != false", "did you mean deceased"),
        ("Patient.name.frist()", "There is no function frist(), at character 14"),
        ("Patient.birthDate > today()", "changes with the clock, so it cannot be indexed, at character 21"),
        ("Patient.contained.descendants()", "say it with ofType()"),
        ("Patient.``", "no element"),
        ("Patient.managingOrganization.resolve().name", "say it with ofType()"),
        ("%nonsense.x", "no variable %nonsense"),
        ("(1 | 2).x.y", "say it with ofType()"),
    ],
)
def test_what_cannot_be_typed_is_refused(expression: str, said: str) -> None:
    with pytest.raises(Unsupported) as caught:
        paths(expression, "Patient")
    assert said in str(caught.value)


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
