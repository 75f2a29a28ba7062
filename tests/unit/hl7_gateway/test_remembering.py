"""What a sender makes up does not fill the memory. docs/hl7.md"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest

from fhir_server.crypto.hashing import Hasher
from hl7_gateway.conversion.vocabulary import known_system
from hl7_gateway.delivery import ids, provenance
from hl7_gateway.feed_mapping import own_system, universal_system
from hl7_gateway.remembering import remembered

HASHER = Hasher(b"a key for tests of what is remembered")


def test_short_questions_are_answered_once_and_long_ones_each_time() -> None:
    asked: list[tuple[int, str]] = []

    @remembered(2)
    def answer(number: int, text: str) -> str:
        asked.append((number, text))
        return text * number

    long = "x" * 301
    assert [answer(2, "a"), answer(2, "a"), answer(2, long), answer(2, long)] == ["aa", "aa", long * 2, long * 2]
    assert asked == [(2, "a"), (2, long), (2, long)]
    for text in "bca":
        answer(2, text)
    assert asked[3:] == [(2, "b"), (2, "c"), (2, "a")]


@pytest.mark.parametrize(
    "ask",
    [
        lambda text: known_system(text),
        lambda text: universal_system(text, "URI"),
        lambda text: universal_system("1.2", text),
        lambda text: own_system("lab", text),
        lambda text: ids.of_identifier(HASHER, "Patient", "urn:x", text),
        lambda text: ids.of_identifier(HASHER, "Patient", text, "1"),
        lambda text: provenance._constant(HASHER, True, "lab", text, "CREATE"),
    ],
)
def test_what_a_sender_makes_up_is_not_kept(ask: Callable[[str], object]) -> None:
    ask("1" * 40_000)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(20):
        ask(str(number) * 40_000)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 40_000


def test_what_is_short_and_made_up_is_not_kept_for_ever() -> None:
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(40_000):
        known_system(f"a system that somebody has made up {number}")
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 3_000_000
