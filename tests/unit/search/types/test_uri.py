"""URI search, written and read. https://hl7.org/fhir/R4/search.html#uri"""

from __future__ import annotations

import pytest

from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import BadRequest
from fhir_server.search.sql import SqlParameters
from fhir_server.search.types import uri
from tests.unit.search.searching import Searching, clause


def test_whole_values(searching: Searching) -> None:
    searching.write(
        {"resourceType": "ValueSet", "id": "a", "url": "http://a.org/vs", "meta": {"profile": ["http://a.org/p|1.0"]}},
        {"resourceType": "ValueSet", "id": "b", "url": "http://a.org/vs/2", "meta": {"source": "urn:x"}},
        {"resourceType": "ValueSet", "id": "c", "url": "http://a.org/a,b"},
    )
    assert searching.find("ValueSet", "url=http://a.org/vs") == "a"
    assert searching.find("ValueSet", "url=http://a.org/VS") == ""
    assert searching.find("ValueSet", "url=http://a.org/vs,http://a.org/vs/2") == "a b"
    assert searching.find("ValueSet", "url=http://a.org/a\\,b") == "c"
    assert searching.find("ValueSet", "_profile=http://a.org/p") == "a"
    assert searching.find("ValueSet", "_profile=http://a.org/p|1.0") == "a"
    assert searching.find("ValueSet", "_profile=http://a.org/p|2.0") == ""
    assert searching.find("ValueSet", "_source=urn:x") == "b"
    assert searching.find("ValueSet", "_profile:missing=true") == "b c"


@pytest.mark.parametrize("query", ["url:below=http://a.org", "url:above=http://a.org", "url="])
def test_what_cannot_be_answered_is_refused(query: str) -> None:
    with pytest.raises(BadRequest, match=r"Supported: :missing|a whole URI is needed"):
        uri.where(clause("ValueSet", query), SqlParameters(1), Hasher(bytes(16)))
