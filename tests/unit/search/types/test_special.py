"""Search by id and time of change, on the row. https://hl7.org/fhir/R4/search.html#all"""

from __future__ import annotations

import pytest

from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import BadRequest
from fhir_server.search.sql import SqlParameters
from fhir_server.search.types import special
from tests.unit.search.searching import Searching, clause


def test_ids_and_times(searching: Searching) -> None:
    searching.write({"resourceType": "Patient", "id": "a"}, {"resourceType": "Patient", "id": "b"})
    assert searching.find("Patient", "_id=a") == "a"
    assert searching.find("Patient", "_id=a,b,c") == "a b"
    assert searching.find("Patient", "_lastUpdated=ge2020") == "a b"
    assert searching.find("Patient", "_lastUpdated=lt2020,gt9998") == ""
    assert searching.find("Patient", "_lastUpdated=ap2000") == ""


@pytest.mark.parametrize(
    ("resource_type", "query", "message"),
    [
        ("Patient", "_id=a b", "an id has 1 to 64"),
        ("Patient", "_id:not=a", "Supported: :missing"),
        ("Patient", "_lastUpdated=x", "a date is written as"),
        ("Patient", "_query=x", "_query is not supported"),
    ],
)
def test_what_cannot_be_answered_is_refused(resource_type: str, query: str, message: str) -> None:
    with pytest.raises(BadRequest) as refused:
        special.where(clause(resource_type, query), SqlParameters(1), Hasher(bytes(16)))
    assert message in str(refused.value)
