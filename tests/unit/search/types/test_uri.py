"""URI search, written and read. https://hl7.org/fhir/R4/search.html#uri"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


URLS = {
    "root": "http://acme.org/fhir",
    "slash": "http://acme.org/fhir/",
    "vs": "http://acme.org/fhir/ValueSet",
    "one": "http://acme.org/fhir/ValueSet/123",
    "two": "http://acme.org/fhir/ValueSet/123/_history/5",
    "like": "http://acme.org/fhir2/ValueSet/123",
    "https": "https://acme.org/fhir/ValueSet/123",
    "oid": "urn:oid:1.2.840",
    "suboid": "urn:oid:1.2.840.113",
    "otheroid": "urn:oid:1.2.8401",
    "uuid": "urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7",
}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("url:below=http://acme.org/fhir/", "one root slash two vs"),
        ("url:below=http://acme.org/fhir", "one root slash two vs"),
        ("url:below=http://acme.org", "like one root slash two vs"),
        ("url:below=http://acme.org/", "like one root slash two vs"),
        ("url:below=http://acme.org/fhir/Val", ""),
        ("url:below=http://acme.org/fhir/ValueSet/123", "one two"),
        ("url:below=http://acme.org/fhir/ValueSet/123,https://acme.org", "https one two"),
        ("url:below=HTTP://acme.org", ""),
        ("url:below=urn:oid:1.2.840", "oid suboid"),
        ("url:below=urn:oid:1.2", "oid otheroid suboid"),
        ("url:above=http://acme.org/fhir/ValueSet/123/_history/5", "one root slash two vs"),
        ("url:above=http://acme.org/fhir/ValueSet/123", "one root slash vs"),
        ("url:above=http://acme.org/fhir/ValueSet/1234", "root slash vs"),
        ("url:above=http://acme.org/fhir/", "root slash"),
        ("url:above=http://acme.org", ""),
        ("url:above=urn:oid:1.2.840.113.4", "oid suboid"),
        ("url:above=https://acme.org/fhir/ValueSet/123/4,http://acme.org/fhir", "https root slash"),
    ],
)
def test_above_and_below(searching: Searching, query: str, expected: str) -> None:
    searching.write(*({"resourceType": "ValueSet", "id": name, "url": url} for name, url in URLS.items()))
    assert searching.find("ValueSet", query) == expected


def test_profiles_with_versions(searching: Searching) -> None:
    searching.write(
        {"resourceType": "Patient", "id": "a", "meta": {"profile": ["http://a.org/p|1.0"]}},
        {"resourceType": "Patient", "id": "b", "meta": {"profile": ["http://a.org/p"]}},
        {"resourceType": "Patient", "id": "c", "meta": {"profile": ["http://a.org/p/1.0", "http://b.org/x#y"]}},
        {"resourceType": "Patient", "id": "d", "meta": {"profile": ["http://a.org/p-2"], "source": "http://x.org/a?b"}},
    )
    assert searching.find("Patient", "_profile:below=http://a.org/p") == "a b c"
    assert searching.find("Patient", "_profile:below=http://a.org/p|1.0") == "a"
    assert searching.find("Patient", "_profile:above=http://a.org/p|1.0") == "a b"
    assert searching.find("Patient", "_profile:above=http://a.org/p/1.0/x") == "a b c"
    assert searching.find("Patient", "_profile:below=http://b.org/x") == "c"
    assert searching.find("Patient", "_source:below=http://x.org/a") == "d"


def test_long_uris(searching: Searching) -> None:
    long = "http://a.org/" + "/".join("x" * 40 for _ in range(50))
    searching.write({"resourceType": "ValueSet", "id": "long", "url": long})
    assert searching.find("ValueSet", "url:below=http://a.org") == "long"
    assert searching.find("ValueSet", f"url:below={long[:480]}") == ""
    assert searching.find("ValueSet", f"url:below={long[: 13 + 41 * 10]}") == "long"
    assert searching.find("ValueSet", f"url:above={long}/y") == "long"
    for query in (f"url:below={long}", "url:above=http://a.org/" + "x/" * 200):
        with pytest.raises(BadRequest, match=r"a URI of (less than 500 characters|up to 100 segments) is needed"):
            uri.where(clause("ValueSet", query), SqlParameters(1), Hasher(bytes(16)))


SEGMENTS = st.lists(st.sampled_from(["a", "b", "ab", ""]), max_size=4)


@st.composite
def uris(draw: st.DrawFn) -> str:
    if draw(st.booleans()):
        return "urn:oid:" + ".".join(draw(st.lists(st.sampled_from("12"), min_size=1, max_size=4)))
    end = draw(st.sampled_from(["", "/", "|1", "|1.0", "#a", "?a=b/c", "?a|1"]))
    path = "/".join([draw(st.sampled_from(["http://a", "http://ab", "x-y://a"])), *draw(SEGMENTS)])
    # A "/" before a version is taken for none, which the words of the specification do not say.
    return (path.rstrip("/") if end.strip("/") else path) + end


def is_below(one: str, other: str) -> bool:
    """By the words of the specification: it begins with the other, and a segment ends there."""
    one, other = one.rstrip("/"), other.rstrip("/")
    return one == other or (
        one.startswith(other) and one[len(other)] in ("." if one.startswith("urn:oid:") else "/?#|")
    )


@given(uris(), uris())
def test_above_is_the_converse_of_below(one: str, other: str) -> None:
    below = uri.below_key(one).startswith(uri.below_key(other))
    assert below is is_below(one, other)
    assert (other.rstrip("/") in {found.rstrip("/") for found in uri.ancestors(one)}) is below


@pytest.mark.parametrize(
    "query",
    ["url:contains=http://a.org", "url=", "url:below=urn:uuid:1", "url:above=urn:x", "url:below=a", "url:above=/a/b"],
)
def test_what_cannot_be_answered_is_refused(query: str) -> None:
    with pytest.raises(
        BadRequest, match=r"Supported: :above, :below, :missing|a whole URI is needed|only a URL such as"
    ):
        uri.where(clause("ValueSet", query), SqlParameters(1), Hasher(bytes(16)))
