"""Codes of FHIR as those of HL7 v2. https://hl7.org/fhir/uv/v2mappings/coding_system_maps.html"""

from __future__ import annotations

import pytest

from hl7_gateway.conversion.vocabulary import CODE_SYSTEMS, known_system, vocabulary
from hl7_gateway.outbound.building.codes import system_name, translated

MAPS = (
    "AdministrativeSex", "AddressType[Use]", "MaritalStatus", "PatientClass[EncounterClass]", "NameType", "Religion",
    "ObservationResultStatusCodesInterpretation", "ResultStatus[Non-Queries]", "FillerStatusCodes[Appointment]",
)  # fmt: skip


@pytest.mark.parametrize("name", MAPS)
def test_every_code_that_can_come_can_go(name: str) -> None:
    there = vocabulary(name)
    back = translated(name)
    assert {target.code for target in there.values()} <= back.keys()
    assert set(back.values()) <= there.keys()


def test_codes_that_have_one_of_their_own_keep_it() -> None:
    results = translated("ObservationResultStatusCodesInterpretation")
    there = vocabulary("ObservationResultStatusCodesInterpretation")
    kept = {code for code, sent in results.items() if there[sent].code == code}
    assert kept >= {"preliminary", "final", "corrected", "cancelled", "entered-in-error", "registered"}
    assert translated("AdministrativeSex") == {"female": "F", "male": "M", "other": "O", "unknown": "U"}


def test_systems_have_the_names_that_they_are_read_by() -> None:
    for uri in {*CODE_SYSTEMS.values(), "http://terminology.hl7.org/CodeSystem/v2-0203", "urn:oid:1.2.3", "http://x/y"}:
        assert known_system(system_name(uri, {})) == uri
    assert system_name("http://loinc.org", {}) == "LN"
    assert system_name("http://loinc.org", {"http://loinc.org": "LOINC"}) == "LOINC"
    assert system_name("", {}) == ""
