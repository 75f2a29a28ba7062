"""Token search, written and read. https://hl7.org/fhir/R4/search.html#token"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import BadRequest
from fhir_server.search.registry import parameters
from fhir_server.search.sql import SqlParameters
from fhir_server.search.types import token
from tests.unit.search.searching import Searching, clause

LOINC, GENDERS = "http://loinc.org", "http://hl7.org/fhir/administrative-gender"
STATUSES = "http://hl7.org/fhir/observation-status"


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


MR, SS = {"system": "http://v2", "code": "MR"}, {"system": "http://v2", "code": "SS"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("identifier:of-type=http://v2|MR|446053", "ann bob"),
        ("identifier:of-type=http://v2|SS|446053", "ann cy"),
        ("identifier:of-type=http://v2|MR|446053,http://v2|SS|446053", "ann bob cy"),
        ("identifier:of-type=http://v2|MR|1", ""),
        ("identifier:of-type=http://v3|MR|446053", ""),
        ("identifier:of-type=http://v2|M\\|R|a\\|b\\,c", "dee"),
        ("identifier:of-type=http://v2|M|R\\|a\\|b\\,c", ""),
        ("identifier=446053", "ann bob cy eve"),
        ("identifier=http://v2|446053", ""),
    ],
)
def test_identifiers_by_their_type(searching: Searching, query: str, expected: str) -> None:
    def patient(name: str, *identifiers: dict[str, Any]) -> dict[str, Any]:
        return {"resourceType": "Patient", "id": name, "identifier": list(identifiers)}

    searching.write(
        patient("ann", {"type": {"coding": [MR, {"code": "x"}]}, "value": "446053"},
                {"type": {"coding": [SS]}, "system": "urn:s", "value": "446053"}),
        patient("bob", {"type": {"coding": [MR]}, "value": "446053"}, {"type": {"coding": [SS]}, "value": "1"}),
        patient("cy", {"type": {"coding": [{"code": "MR"}, SS]}, "value": "446053"}, {"type": {"coding": [MR]}}),
        patient("dee", {"type": {"coding": [{"system": "http://v2", "code": "M|R"}]}, "value": "a|b,c"}),
        patient("eve", {"type": {"text": "MR"}, "value": "446053"}),
    )  # fmt: skip
    assert searching.find("Patient", query) == expected


CODES = ((LOINC, "8480-6"), (GENDERS, "female"), (STATUSES, "final"), ("urn:x", "final"))


@pytest.mark.parametrize(
    ("resource_type", "query", "expected"),
    [
        ("Observation", "code:in=urn:vs", "o"),
        ("Observation", "code:not-in=urn:vs", "p q"),
        ("Observation", "code:below=urn:vs", "o"),
        ("Observation", "code:above=urn:vs", "o"),
        ("Observation", "status:in=urn:vs", "o"),
        ("Observation", "status:not-in=urn:vs", "p q"),
        ("Observation", "combo-code:in=urn:vs", "o"),
        ("Observation", "category:in=urn:vs", ""),
        ("Observation", "category:not-in=urn:vs", "o p q"),
        ("Patient", "gender:in=urn:vs", "ann"),
        ("Patient", "gender:not-in=urn:vs", "bob"),
    ],
)
def test_codes_that_were_looked_up(searching: Searching, resource_type: str, query: str, expected: str) -> None:
    def observation(name: str, status: str, *codings: dict[str, str]) -> dict[str, Any]:
        return {"resourceType": "Observation", "id": name, "status": status, "code": {"coding": list(codings)}}

    searching.write(
        observation("o", "final", {"system": "urn:other", "code": "8480-6"}, {"system": LOINC, "code": "8480-6"}),
        observation("p", "amended", {"system": "urn:other", "code": "8480-6"}),
        observation("q", "amended", {"code": "8480-6"}),
        {"resourceType": "Patient", "id": "ann", "gender": "female"},
        {"resourceType": "Patient", "id": "bob"},
    )
    found = [searching.find(resource_type, query, codes=CODES)]
    # As many as are looked up in another way.
    found.append(searching.find(resource_type, query, codes=(*CODES, *((LOINC, str(n)) for n in range(2_000)))))
    assert found == [expected] * 2


def test_no_codes_match_nothing(searching: Searching) -> None:
    searching.write({"resourceType": "Patient", "id": "ann", "gender": "female"})
    for codes in ((), None):
        assert searching.find("Patient", "gender:in=urn:vs", codes=codes) == ""
    assert searching.find("Patient", "gender:not-in=urn:vs", codes=()) == "ann"
    assert searching.find("Patient", "gender:not-in=urn:vs", codes=None) == ""


def test_the_modifiers_that_a_parameter_takes() -> None:
    for resource_type, code, expected in (
        ("Patient", "gender", "not in not-in above below"),
        ("Patient", "identifier", "not of-type"),
        ("Patient", "active", "not"),
        ("Patient", "telecom", "not"),
        ("Observation", "code", "not in not-in above below"),
        ("Group", "value", "not in not-in above below"),
        ("ValueSet", "version", "not"),
    ):
        found = token.modifiers(parameters(resource_type)[code])
        assert (code, " ".join(found)) == (code, expected)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "gender:of-type=a|b|c",
            "the modifier :of-type is not supported for gender, which is of type token. Supported: ",
        ),
        (
            "active:in=urn:vs",
            "the modifier :in is not supported for active, which is of type token. Supported: :not, :m",
        ),
        ("identifier:below=urn:vs", "Supported: :not, :of-type, :missing"),
        ("identifier:of-type=MR|446053", "the value is system|code|value"),
        ("identifier:of-type=http://v2|MR|", "the value is system|code|value"),
        ("identifier:of-type=|MR|446053", "the value is system|code|value"),
        ("identifier:of-type=http://v2|MR|446053|7", "the value is system|code|value"),
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
