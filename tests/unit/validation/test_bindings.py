"""Required bindings. https://hl7.org/fhir/R4/terminologies.html#required"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.r4 import definitions
from fhir_server.validation.bindings import MIME_TYPES, code_predicate, codes_of, concept_fits

GENDER = "http://hl7.org/fhir/ValueSet/administrative-gender"
CLINICAL = "http://hl7.org/fhir/ValueSet/condition-clinical"
SYSTEM = "http://terminology.hl7.org/CodeSystem/condition-clinical"
UCUM = "http://hl7.org/fhir/ValueSet/ucum-units"


def test_codes_are_those_of_the_value_set() -> None:
    assert codes_of(GENDER) == {"male", "female", "other", "unknown"}
    assert code_predicate(GENDER, "Patient.gender")("male")
    assert not code_predicate(GENDER, "Patient.gender")("MALE")


def test_only_three_value_sets_cannot_be_listed() -> None:
    empty = {url for url, systems in definitions.load().value_sets.items() if not systems}
    assert empty == {MIME_TYPES, UCUM, "http://loinc.org/vs/LL379-9"}


@pytest.mark.parametrize(
    "value",
    ["text/plain", "application/fhir+json", "image/svg+xml", "text/plain; charset=utf-8", "text/plain;charset=UTF-8",
     'multipart/related; type="application/dicom"', "application/vnd.ms-excel", "image/*"],
)  # fmt: skip
def test_mime_types(value: str) -> None:
    assert code_predicate(MIME_TYPES, "Attachment.contentType")(value)


@pytest.mark.parametrize(
    "value", ["png", "text/", "/plain", "text/plain;", "text/plain; charset", "a b/c", "text/pl\u00e4n"]
)
def test_what_is_no_mime_type(value: str) -> None:
    assert not code_predicate(MIME_TYPES, "Attachment.contentType")(value)
    assert not code_predicate(MIME_TYPES, "CapabilityStatement.format")(value)


def test_short_names_of_formats_where_formats_are_meant() -> None:
    assert code_predicate(MIME_TYPES, "CapabilityStatement.format")("json")
    assert not code_predicate(MIME_TYPES, "Attachment.contentType")("json")


def test_codes_of_other_value_sets_need_the_form_of_a_code_only() -> None:
    assert code_predicate(UCUM, "X.unit")("mm[Hg]")
    assert not code_predicate(UCUM, "X.unit")(" mm")


@pytest.mark.parametrize(
    ("concept", "fits"),
    [
        ({"coding": [{"system": SYSTEM, "code": "active"}]}, True),
        ({"coding": [{"system": "http://example.org", "code": "x"}, {"system": SYSTEM, "code": "active"}]}, True),
        ({"coding": [{"system": SYSTEM, "code": "x"}]}, False),
        ({"coding": [{"code": "active"}]}, False),
        ({"coding": [{"system": SYSTEM, "display": "active"}]}, False),
        ({"text": "active"}, False),
        ({"_text": {"extension": []}}, False),
        ({"extension": [{}]}, True),
        ({"extension": [{}], "text": "active"}, False),
    ],
)
def test_a_concept_needs_a_coding_from_the_value_set(concept: dict[str, Any], fits: bool) -> None:
    assert concept_fits(concept, CLINICAL) is fits
    assert concept_fits(concept, UCUM)
