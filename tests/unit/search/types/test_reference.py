"""Reference search, written and read. https://hl7.org/fhir/R4/search.html#reference"""

from __future__ import annotations

import pytest

from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import BadRequest
from fhir_server.search.sql import SqlParameters
from fhir_server.search.types import reference
from tests.unit.search.searching import Searching, clause


def observation(name: str, subject: dict[str, object], **more: object) -> dict[str, object]:
    return {
        "resourceType": "Observation", "id": name, "status": "final", "code": {"text": "x"}, "subject": subject, **more,
    }  # fmt: skip


@pytest.fixture
def observations(searching: Searching) -> Searching:
    searching.write(
        observation("patient", {"reference": "Patient/1"}),
        observation("version", {"reference": "Patient/1/_history/3"}),
        observation("group", {"reference": "Group/1"}),
        observation("device", {"reference": "Device/2"}),
        observation("remote", {"reference": "http://a.org/fhir/Patient/1"}),
        observation("contained", {"reference": "#p"}, contained=[{"resourceType": "Patient", "id": "p"}]),
        observation("urn", {"reference": "urn:uuid:12", "type": "Patient"}),
        observation("logical", {"identifier": {"system": "urn:mrn", "value": "77"}, "type": "Patient"}),
        {"resourceType": "Observation", "id": "none", "status": "final", "code": {"text": "x"}},
    )
    return searching


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("subject=Patient/1", "patient version"),
        ("subject=1", "group patient version"),
        ("subject=Patient/1,Device/2", "device patient version"),
        ("subject:Patient=1", "patient version"),
        ("subject:Patient=Patient/1", "patient version"),
        ("subject:Group=1", "group"),
        ("subject=Patient/1/_history/3", "patient version"),
        ("subject=http://a.org/fhir/Patient/1", "remote"),
        ("subject=http://other.org/fhir/Patient/1", ""),
        ("subject=urn:uuid:12", "urn"),
        ("subject=Patient/9", ""),
        ("patient=1", "patient version"),
        ("patient=Patient/1", "patient version"),
        ("patient=1,9", "patient version"),
        ("patient=http://a.org/fhir/Patient/1", "remote"),
        ("patient=urn:uuid:12", "urn"),
        ("patient:missing=false", "contained logical patient remote urn version"),
        ("subject:missing=true", "none"),
        ("subject:identifier=urn:mrn|77", "logical"),
        ("subject:identifier=77", "logical"),
        ("subject:identifier=urn:mrn|", "logical"),
        ("subject:identifier=|77", ""),
        ("patient:identifier=urn:mrn|77", "logical"),
    ],
)
def test_observations(observations: Searching, query: str, expected: str) -> None:
    assert observations.find("Observation", query) == expected


def test_canonicals_and_the_first_entry_of_a_bundle(searching: Searching) -> None:
    searching.write(
        {
            "resourceType": "QuestionnaireResponse", "id": "q", "status": "completed",
            "questionnaire": "http://a.org/Questionnaire/1|2.0",
        },
        {"resourceType": "QuestionnaireResponse", "id": "u", "status": "completed", "questionnaire": "Questionnaire/1"},
        {"resourceType": "Bundle", "id": "doc", "entry": [{"resource": {"resourceType": "Composition", "id": "c"}}]},
        {"resourceType": "Bundle", "id": "msg", "entry": [{"resource": {"resourceType": "MessageHeader", "id": "c"}}]},
        {
            "resourceType": "Library", "id": "lib",
            "relatedArtifact": [
                {"type": "depends-on", "resource": "http://a.org/L|1"}, {"type": "successor", "resource": "http://a.org/S"},
            ],
        },
    )  # fmt: skip
    assert searching.find("QuestionnaireResponse", "questionnaire=http://a.org/Questionnaire/1") == "q"
    assert searching.find("QuestionnaireResponse", "questionnaire=http://a.org/Questionnaire/1|2.0") == "q"
    assert searching.find("QuestionnaireResponse", "questionnaire=http://a.org/Questionnaire/1|3.0") == ""
    assert searching.find("QuestionnaireResponse", "questionnaire=Questionnaire/1") == "u"
    assert searching.find("Bundle", "composition=Composition/c") == "doc"
    assert searching.find("Bundle", "composition=c") == "doc"
    assert searching.find("Bundle", "message=c") == "msg"
    assert searching.find("Library", "depends-on=http://a.org/L") == "lib"
    assert searching.find("Library", "successor=http://a.org/S") == "lib"
    assert searching.find("Library", "successor=http://a.org/L") == ""


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("subject:Practitioner=1", "Supported: :identifier, :Group, :Device, :Patient, :Location, :missing"),
        ("subject:exact=1", "the modifier :exact is not supported for subject"),
        ("subject:Patient=Group/1", "refers to Patient, not to Group"),
        ("subject=Practitioner/1", "not to Practitioner"),
        ("subject=#p", "contained resources cannot be searched for"),
        ("subject=", "an id, Type/id or URL is needed"),
        ("subject:identifier=a|b|c", "code, system|code"),
        ("subject:identifier=|", "this one is empty"),
    ],
)
def test_what_cannot_be_answered_is_refused(query: str, message: str) -> None:
    with pytest.raises(BadRequest) as refused:
        reference.where(clause("Observation", query), SqlParameters(1), Hasher(bytes(16)))
    assert message in str(refused.value)
