"""fhir_server/search/cursor.py"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import BadRequest
from fhir_server.search.cursor import LIFETIME_SECONDS, LONGEST, Binding, Continuation, CursorSealer, Position

KEY = b"0123456789abcdef0123456789abcdef"
MINE = Binding(3, "Observation", "client-1")
CONTINUATION = Continuation(
    (
        ("patient", "Patient/0190b3c4-7b1e-7cc0-a1f2-3b4c5d6e7f80"),
        ("code", "http://loinc.org|8480-6"),
        ("date", "ge2020-01-01"),
        ("_count", "50"),
    ),
    Position((1_700_000_000_000_000,), 123_456_789),
    1234,
)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
continuations = st.builds(
    Continuation,
    st.lists(st.tuples(text, text), max_size=6).map(tuple),
    st.builds(
        Position,
        st.lists(st.none() | st.integers(-(2**63), 2**63 - 1) | text, max_size=3).map(tuple),
        st.integers(0, 2**63 - 1),
    ),
    st.none() | st.integers(0, 2**40),
)


@given(continuations)
def test_opens_to_what_was_sealed(continuation: Continuation) -> None:
    sealer = CursorSealer(KEY)
    assert sealer.open(sealer.seal(continuation, MINE), MINE) == continuation


def test_a_common_clinical_search_fits_in_200_characters() -> None:
    assert len(CursorSealer(KEY).seal(CONTINUATION, MINE)) < 200


def test_two_processes_with_the_same_key_open_each_others_cursors() -> None:
    sealed = CursorSealer.from_hasher(Hasher(KEY)).seal(CONTINUATION, MINE)
    assert CursorSealer.from_hasher(Hasher(KEY)).open(sealed, MINE) == CONTINUATION


def test_another_key_opens_nothing() -> None:
    sealed = CursorSealer.from_hasher(Hasher(KEY)).seal(CONTINUATION, MINE)
    with pytest.raises(BadRequest, match="not valid here"):
        CursorSealer.from_hasher(Hasher(KEY[::-1])).open(sealed, MINE)


def test_says_nothing_about_the_search() -> None:
    """Even two cursors of one page share no text, and no parameter can be read out of them."""
    sealer = CursorSealer(KEY)
    first, second = sealer.seal(CONTINUATION, MINE), sealer.seal(CONTINUATION, MINE)
    assert first[:16] != second[:16]
    assert "Patient" not in first


@pytest.mark.parametrize(
    "other",
    [
        Binding(4, "Observation", "client-1"),
        Binding(3, "Patient", "client-1"),
        Binding(3, "Observation", "client-2"),
        Binding(3, "Observation", ""),
    ],
)
def test_opens_for_nobody_else(other: Binding) -> None:
    sealer = CursorSealer(KEY)
    with pytest.raises(BadRequest, match="belongs to another clinic, resource type or user"):
        sealer.open(sealer.seal(CONTINUATION, MINE), other)


@given(st.data())
def test_any_altered_character_is_noticed(data: st.DataObject) -> None:
    sealer = CursorSealer(KEY)
    sealed = sealer.seal(CONTINUATION, MINE)
    place = data.draw(st.integers(0, len(sealed) - 1))
    other = data.draw(st.characters(min_codepoint=33, max_codepoint=126).filter(lambda c: c != sealed[place]))
    with pytest.raises(BadRequest, match="was altered"):
        sealer.open(sealed[:place] + other + sealed[place + 1 :], MINE)


@given(st.text(max_size=300))
def test_any_text_is_refused_with_400(junk: str) -> None:
    with pytest.raises(BadRequest):
        CursorSealer(KEY).open(junk, MINE)


def test_a_very_long_text_is_refused_cheaply() -> None:
    with pytest.raises(BadRequest):
        CursorSealer(KEY).open("A" * 5_000_000, MINE)


def test_expires() -> None:
    now = [1_800_000_000.0]
    sealer = CursorSealer(KEY, clock=lambda: now[0])
    sealed = sealer.seal(CONTINUATION, MINE)
    now[0] += LIFETIME_SECONDS - 1
    assert sealer.open(sealed, MINE) == CONTINUATION
    now[0] += 2
    with pytest.raises(BadRequest, match="has expired") as refused:
        sealer.open(sealed, MINE)
    assert refused.value.issues[0].code == "processing"


def test_a_search_too_long_for_a_link_is_refused_not_cut() -> None:
    ids = ",".join(Hasher(KEY)(str(n)).to_bytes(8, "little", signed=True).hex() for n in range(900))
    with pytest.raises(BadRequest, match="too long for the link") as refused:
        CursorSealer(KEY).seal(Continuation((("_id", ids),), CONTINUATION.position), MINE)
    assert refused.value.issues[0].code == "too-costly"


def test_a_link_to_200_ids_still_fits() -> None:
    ids = ",".join(f"0190b3c4-7b1e-7{n:03x}-a1f2-{n * n:012x}" for n in range(200))
    assert len(CursorSealer(KEY).seal(Continuation((("_id", ids),), CONTINUATION.position), MINE)) <= LONGEST
