"""Limits hold before anything is parsed; one operation is chosen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.graphql.document import DEFAULT_LIMITS, Limits, read
from fhir_server.graphql.problems import RequestError


def test_the_only_operation_is_taken() -> None:
    found = read("query A { id ...f } fragment f on Patient { id }", "")
    assert found.operation.name is not None
    assert (found.operation.name.value, list(found.fragments)) == ("A", ["f"])
    assert read("query A { id } query B { id }", "B").operation.name.value == "B"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("query", "limits"),
    [
        ("{ a { b { c } } }", Limits(depth=2)),
        ("{ ...f } fragment f on T { a { b { c } } }", Limits(depth=2)),
        ("{ ... on T { a { ... { b { c } } } } }", Limits(depth=2)),
        ("{ a(x: [[[1]]]) }", Limits(nesting=4)),
        ("{ a b c }", Limits(tokens=4)),
        ("{ a b c }", Limits(length=8)),
        ("{ ...a ...b } fragment a on T { x } fragment b on T { x }", Limits(fragments=1)),
    ],
)
def test_each_limit(query: str, limits: Limits) -> None:
    read(query, "")
    with pytest.raises(RequestError) as refused:
        read(query, "", limits)
    assert refused.value.code in ("too-costly", "too-long")


def test_fragments_in_fragments_take_no_time() -> None:
    """Written out this has 2^48 fields."""
    parts = [f"fragment f{n} on T {{ ...f{n + 1} ...f{n + 1} }}" for n in range(48)]
    read("{ ...f0 } " + " ".join(parts) + " fragment f48 on T { id }", "")


@given(st.text(alphabet='{}()[]:!$@="abc1 .#\n\\\x00é😀', max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    refused = None
    try:
        read(text, "", DEFAULT_LIMITS)
    except RequestError as error:
        refused = error.to_json()
    assert refused is None or (refused["message"] and refused["extensions"]["resource"]["issue"])
