"""Reading references. https://hl7.org/fhir/R4/references.html#literal"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.r4 import references
from fhir_server.r4.references import Reference


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Patient/1", Reference("relative", "", "Patient", "1")),
        ("Patient/1/_history/2", Reference("relative", "", "Patient", "1", "2")),
        ("http://a.org/fhir/Patient/1", Reference("absolute", "http://a.org/fhir", "Patient", "1")),
        ("https://a.org/Patient/1/_history/7", Reference("absolute", "https://a.org", "Patient", "1", "7")),
        ("http://Patient/1", Reference("uri")),
        ("#p", Reference("fragment", id="p")),
        ("#", Reference("fragment")),
        ("urn:uuid:4b0d", Reference("urn", id="4b0d")),
        ("Patient?identifier=x|1", Reference("conditional", "", "Patient", "identifier=x|1")),
        ("Nothing/1", Reference("uri")),
        ("Patient/", Reference("uri")),
        ("Patient/a b", Reference("uri")),
        ("Patient/1/_history/", Reference("uri")),
        ("Patient/1/2", Reference("uri")),
        ("http://hl7.org/fhir/ValueSet/x|4.0", Reference("uri")),
        ("", Reference("uri")),
    ],
)
def test_parse(text: str, expected: Reference) -> None:
    assert references.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Patient/1", "Patient/1"),
        ("Patient/1/_history/2", "Patient/1"),
        ("http://a.org/Patient/1/_history/2", "http://a.org/Patient/1"),
        ("http://a.org/_history/2", "http://a.org/_history/2"),
        ("#p", ""),
        ("urn:uuid:1", "urn:uuid:1"),
    ],
)
def test_target_drops_the_version_alone(text: str, expected: str) -> None:
    assert references.target(text) == expected


def test_named_type() -> None:
    assert references.named_type("Patient/1") == "Patient"
    assert references.named_type("http://a.org/fhir/Group/1/_history/1") == "Group"
    assert (
        references.named_type("urn:uuid:1") == references.named_type("#x") == references.named_type("Nothing/1") == ""
    )


@given(st.text())
def test_every_text_has_a_kind(text: str) -> None:
    found = references.parse(text)
    assert found.kind in {"relative", "absolute", "fragment", "urn", "conditional", "uri"}
    assert references.parse(references.target(text)).version == ""
