"""Escapes, separators and prefixes of search values. https://hl7.org/fhir/R4/search.html#escaping"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.search.values import split, split_prefix, unescape


def escape(text: str) -> str:
    for char in "\\,|$":
        text = text.replace(char, "\\" + char)
    return text


@given(st.text(alphabet="a,|$\\é"))
def test_unescape_undoes_escape(text: str) -> None:
    assert unescape(escape(text)) == text


@given(st.lists(st.text(alphabet="a,|$\\"), min_size=1), st.sampled_from("|$"))
def test_split_finds_the_separators_that_are_not_escaped(parts: list[str], separator: str) -> None:
    joined = separator.join(map(escape, parts))
    assert [unescape(part) for part in split(joined, separator)] == parts


@pytest.mark.parametrize(
    ("text", "expected"),
    [("ge2020", ("ge", "2020")), ("2020", ("eq", "2020")), ("", ("eq", "")), ("GE2020", ("eq", "GE2020"))],
)
def test_split_prefix(text: str, expected: tuple[str, str]) -> None:
    assert split_prefix(text) == expected


def test_a_backslash_before_anything_else_stands_for_itself() -> None:
    assert unescape("a\\b\\") == "a\\b\\"
    assert split("a\\|b|c\\", "|") == ["a\\|b", "c\\"]
