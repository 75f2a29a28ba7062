"""Normalised text and the range of a prefix. https://hl7.org/fhir/R4/search.html#string"""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.search.text_forms import MAX_LENGTH, normalise, upper_bound


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Núñez", "nunez"),
        ("  Anna\t Maria\n", "anna maria"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("İstanbul", "istanbul"),
        ("O'Neil-Smith, Jr.", "o'neil-smith, jr."),
        ("Ⅷ ﬁ", "viii fi"),
        ("a\0b", "a b"),
        ("山田", "山田"),
        ("", ""),
    ],
)
def test_normalise(text: str, expected: str) -> None:
    assert normalise(text) == expected


@given(st.text(max_size=100))
def test_normalising_again_changes_nothing_and_case_and_accents_do_not_count(text: str) -> None:
    folded = normalise(text)
    assert normalise(folded) == folded
    assert len(folded) <= MAX_LENGTH
    assert "\0" not in folded
    assert not any(unicodedata.combining(char) for char in folded)
    assert normalise(unicodedata.normalize("NFD", text)) == folded


@given(st.text(alphabet=st.characters(codec="utf-8"), min_size=1), st.text(alphabet=st.characters(codec="utf-8")))
def test_the_range_of_a_prefix_holds_what_begins_with_it_and_nothing_else(prefix: str, other: str) -> None:
    end = upper_bound(prefix)
    assert end is None or prefix < end

    def within(text: str) -> bool:
        return prefix <= text and (end is None or text < end)

    assert within(prefix + other)
    if end is not None:
        assert within(other) is other.startswith(prefix)
        assert end.encode() > (prefix + other).encode()


def test_prefixes_at_the_end_of_unicode() -> None:
    assert upper_bound("a\ud7ff") == "a\ue000"
    assert upper_bound("a\U0010ffff") == "b"
    assert upper_bound("\U0010ffff") is None


def test_texts_of_any_length_are_cut() -> None:
    assert normalise("ab " * 1_000_000) == normalise("ab " * 200)
    assert len(normalise("\ufdfa" * 1_000_000)) <= MAX_LENGTH
