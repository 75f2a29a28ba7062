"""Token search, written and read. https://hl7.org/fhir/R4/search.html#token"""

from __future__ import annotations

import pytest

from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import BadRequest
from fhir_server.search.sql import SqlParameters
from fhir_server.search.types import token
from tests.unit.search.searching import Searching, clause

LOINC, GENDERS = "http://loinc.org", "http://hl7.org/fhir/administrative-gender"


@pytest.fixture
def patients(searching: Searching) -> Searching:
    searching.write(
        {
            "resourceType": "Patient", "id": "ann", "gender": "female", "active": True,
            "identifier": [{"system": "urn:a", "value": "1|2"}, {"value": "X"}],
            "telecom": [{"system": "phone", "value": "555"}, {"system": "email", "value": "a@b.c"}],
        },
        {
            "resourceType": "Patient", "id": "bob", "gender": "male", "active": False,
            "identifier": [{"system": "urn:b", "value": "X"}, {"system": "urn:only"}],
            "deceasedDateTime": "2020", "address": [{"use": "home"}],
        },
        {"resourceType": "Patient", "id": "cy", "deceasedBoolean": False},
        {"resourceType": "Patient", "id": "dee", "deceasedBoolean": True, "_gender": {"id": "g"}},
    )  # fmt: skip
    return searching


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("identifier=X", "ann bob"),
        ("identifier=urn:b|X", "bob"),
        ("identifier=|X", "ann"),
        ("identifier=urn:b|", "bob"),
        ("identifier=urn:only|", "bob"),
        ("identifier=urn:a|X", ""),
        ("identifier=1\\|2", "ann"),
        ("identifier=urn:a|1\\|2", "ann"),
        ("identifier=urn:a|1\\|2,urn:b|X", "ann bob"),
        ("identifier=x", ""),
        ("gender=female", "ann"),
        ("gender=Female", ""),
        (f"gender={GENDERS}|female", "ann"),
        (f"gender={GENDERS}|woman", ""),
        (f"gender={GENDERS}|", "ann bob"),
        ("gender=|female", "ann"),
        ("gender=http://other|female", ""),
        ("gender=male,female", "ann bob"),
        ("gender:not=female", "bob cy dee"),
        ("gender:not=female,male", "cy dee"),
        ("gender:not=http://other|female", "ann bob cy dee"),
        ("gender:missing=true", "cy dee"),
        ("gender:missing=false", "ann bob"),
        ("active=true", "ann"),
        ("active=false", "bob"),
        ("phone=555", "ann"),
        ("phone=a@b.c", ""),
        ("email=a@b.c", "ann"),
        ("telecom=a@b.c", "ann"),
        ("telecom=|555", "ann"),
        ("telecom=phone|555", ""),
        ("deceased=true", "bob dee"),
        ("deceased=false", "ann cy"),
        ("address-use=home", "bob"),
    ],
)
def test_patients(patients: Searching, query: str, expected: str) -> None:
    assert patients.find("Patient", query) == expected


def test_codings_booleans_and_meta(searching: Searching) -> None:
    characteristic = {"code": {"text": "?"}, "exclude": False}
    searching.write(
        {
            "resourceType": "Observation", "id": "o", "status": "final",
            "code": {"coding": [{"system": LOINC, "code": "8480-6"}, {"code": "local"}], "text": "Systolic"},
            "meta": {"tag": [{"system": "t", "code": "1"}], "security": [{"code": "R"}]},
        },
        {"resourceType": "Group", "id": "b", "characteristic": [{**characteristic, "valueBoolean": True}]},
        {
            "resourceType": "Group", "id": "c",
            "characteristic": [
                {**characteristic, "valueCodeableConcept": {"coding": [{"code": "true", "system": "s"}]}}
            ],
        },
        {"resourceType": "ImagingStudy", "id": "i", "series": [{"uid": "1.2.3", "modality": {"code": "CT"}}]},
        {"resourceType": "MessageHeader", "id": "e", "eventUri": "urn:e"},
        {"resourceType": "MessageHeader", "id": "f", "eventCoding": {"system": "s", "code": "urn:e"}},
    )  # fmt: skip
    assert searching.find("Observation", f"code={LOINC}|8480-6") == "o"
    assert searching.find("Observation", "code=|local") == "o"
    assert searching.find("Observation", "code=|8480-6") == ""
    assert searching.find("Observation", f"combo-code={LOINC}|") == "o"
    assert searching.find("Observation", "_tag=t|1") == "o"
    assert searching.find("Observation", "_security=R") == "o"
    assert searching.find("Observation", "status=http://hl7.org/fhir/observation-status|final") == "o"
    assert searching.find("Group", "value=true") == "b c"
    assert searching.find("Group", "value=|true") == "b"
    assert searching.find("Group", "value=s|true") == "c"
    assert searching.find("ImagingStudy", "series=1.2.3") == "i"
    assert searching.find("ImagingStudy", "modality=CT") == "i"
    assert searching.find("MessageHeader", "event=|urn:e") == "e"
    assert searching.find("MessageHeader", "event=s|urn:e") == "f"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("gender:text=x", "the modifier :text is not supported for gender"),
        ("gender=|", "this one is empty"),
        ("identifier=a|b|c", "code, system|code, |code or system|"),
        ("active=yes", "either true or false"),
        ("active=|yes", "either true or false"),
    ],
)
def test_what_cannot_be_answered_is_refused(query: str, message: str) -> None:
    with pytest.raises(BadRequest) as refused:
        token.where(clause("Patient", query), SqlParameters(1), Hasher(bytes(16)))
    assert message in str(refused.value)
    assert query in str(refused.value)
