"""Criteria: what they look for, and that the same criteria meet at one lock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.errors import BadRequest
from fhir_server.interactions.conditional import criteria


@pytest.mark.parametrize(
    "query",
    [
        "identifier=a%7Cb&name=x",
        "name=x&identifier=a|b",
        "?name=x&identifier=a|b",
        "Patient?name=x&identifier=a|b",
        "name=x&_format=json&identifier=a%7cb&_pretty=true",
    ],
)
def test_however_they_are_written_they_are_the_same(query: str) -> None:
    found = criteria("Patient", query)
    assert found.pairs == (("identifier", "a|b"), ("name", "x"))
    assert found == criteria("Patient", "identifier=a|b&name=x")
    assert found.lock == criteria("Patient", "identifier=a|b&name=x").lock
    assert found != criteria("Person", "identifier=a|b&name=x")


def test_alternatives_are_sorted_unless_a_comma_may_be_escaped() -> None:
    assert criteria("Patient", "name=b,a").pairs == (("name", "a,b"),)
    assert criteria("Patient", r"name=b\,a").pairs == (("name", r"b\,a"),)


@pytest.mark.parametrize(
    "query", ["", "?", "Patient?", "_format=json", "_count=1", "_sort=name", "_summary=true", "name=%ff", "_cursor=x"]
)
def test_those_that_look_for_nothing_are_refused(query: str) -> None:
    with pytest.raises(BadRequest):
        criteria("Patient", query)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(query: str) -> None:
    try:
        found = criteria("Patient", query)
    except BadRequest:
        return
    assert found.pairs
    assert found.lock.startswith("criteria/")
