"""What is known of elements, against the definitions of FHIR by eye. https://hl7.org/fhir/R4/patient.html"""

from __future__ import annotations

import pytest

from hl7_gateway.delivery.elements import NoSuchElement, kind_of, required_in, type_at


def test_what_repeats_and_what_does_not() -> None:
    assert kind_of("Patient", "telecom").repeats
    assert not kind_of("Patient", "birthDate").repeats
    assert not kind_of("Patient", "_birthDate").repeats
    assert kind_of("Encounter", "hospitalization.dietPreference").repeats
    assert not kind_of("Encounter", "hospitalization.admitSource").repeats
    assert not kind_of("Encounter", "period.start").repeats


def test_a_choice_is_one_element() -> None:
    assert kind_of("Patient", "deceasedDateTime").rivals == ("deceasedBoolean", "_deceasedBoolean")
    assert "valueString" in kind_of("Observation", "valueQuantity").rivals
    assert kind_of("Patient", "gender").rivals == ()


@pytest.mark.parametrize("path", ["nickname", "name.family", "birthDate.year", "contact.name.family"])
def test_a_path_that_is_none_is_refused(path: str) -> None:
    with pytest.raises(NoSuchElement, match="Patient"):
        kind_of("Patient", path)


def test_what_has_to_be_there() -> None:
    assert required_in("Account.guarantor", "party")
    assert not required_in("Encounter.participant", "individual")
    assert not required_in("no type", "party")
    assert type_at("Encounter", "participant") == "Encounter.participant"
    assert type_at("Patient", "generalPractitioner") == "Reference"
