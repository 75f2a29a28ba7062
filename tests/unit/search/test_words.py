"""fhir_server/search/words.py"""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.search.words import FULL_WEIGHT, MAX_TEXT, MAX_WORD, of_narrative, weighted, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Body Height", ["body", "height"]),
        ("Diab\u00e8te de TYPE 2, non-insulin", ["diabete", "de", "type", "2", "non", "insulin"]),
        ("O'Brien\u2019s", ["obriens"]),
        ("Stra\u00dfe STRASSE", ["strasse", "strasse"]),
        ("120/80 mm[Hg] snake_case", ["120", "80", "mm", "hg", "snake", "case"]),
        ("\u7cd6\u5c3f\u75c5type 2", ["\u7cd6", "\u5c3f", "\u75c5", "type", "2"]),
        ("\u304c\u3093", ["\u304b", "\u3093"]),
        ("\u043b\u0451\u0433\u043a\u0438\u0435", ["\u043b\u0435\u0433\u043a\u0438\u0435"]),
        ("\u039f\u0394\u039f\u03a3 \u03bf\u03b4\u03bf\u03c2", ["\u03bf\u03b4\u03bf\u03c3", "\u03bf\u03b4\u03bf\u03c3"]),
        ("\uff21\uff22 \ufb01t", ["ab", "fit"]),
        ("\0\x01 -- ...", []),
        ("", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_words_of_scripts_with_vowel_signs_are_whole() -> None:
    assert len(words("\u0939\u093f\u0928\u094d\u0926\u0940 \u092e\u0947\u0902")) == 2
    assert len(words("\u0e17\u0e35\u0e48")) == 1


@given(st.text())
def test_words_are_folded_already_and_found_again_by_themselves(text: str) -> None:
    found = words(text)
    assert all(0 < len(word) <= MAX_WORD for word in found)
    assert words(" ".join(found)) == found
    assert not any("_" in word or " " in word for word in found)


@given(st.text(), st.text())
def test_words_of_two_texts_are_those_of_each(one: str, other: str) -> None:
    assert words(f"{one}\n{other}") == words(one) + words(other)


@pytest.mark.parametrize(
    ("div", "expected"),
    [
        ('<div xmlns="http://www.w3.org/1999/xhtml"><p>Dia<b>bet</b>es</p><p>mellitus</p></div>', "diabetes mellitus"),
        ("<div>a<br/>b<!-- hidden > --><td>c</td>d &amp; &eacute;&#228; &lt;i&gt;</div>", "a b c d ea i"),
        ('<div title="x > hidden">seen</div>', "seen"),
        ("<div><!-- never closed", ""),
        ("<div class='a", ""),
        ("<div>a <", "a"),
    ],
)
def test_what_a_reader_of_a_narrative_sees(div: str, expected: str) -> None:
    assert " ".join(of_narrative(div)) == expected


@pytest.mark.parametrize(
    "part", ["<", "<!--", "<a '", '<a "', "<a title='x' ", "a", "\u00e9", "&", "-->", "<<>", "\u7cd6"]
)
def test_hostile_narratives_take_linear_time(part: str) -> None:
    begun = time.monotonic()
    of_narrative(part * (2_000_000 // len(part)))
    assert time.monotonic() - begun < 5


def test_long_texts_and_words_are_cut() -> None:
    assert words("x" * 3 * MAX_TEXT) == ["x" * MAX_WORD]
    assert words("a " * MAX_TEXT + "end")[-1] == "a"


def test_weights() -> None:
    assert weighted([]) == {}
    short, long = weighted(["a", "b"]), weighted(["a", *"bcdefghijklmnop", "a"])
    assert short["a"] == short["b"] > long["b"]
    assert long["a"] > long["b"]


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=300))
def test_a_word_weighs_more_the_more_often_it_comes(found: list[str]) -> None:
    weights = weighted(found)
    assert set(weights) == set(found)
    assert all(0 < weight < FULL_WEIGHT for weight in weights.values())
    ordered = sorted(weights, key=lambda word: weights[word])
    assert [found.count(word) for word in ordered] == sorted(found.count(word) for word in weights)
