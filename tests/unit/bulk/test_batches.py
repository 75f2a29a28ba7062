from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from fhir_server.bulk.batches import BYTES, LINES, batches, of_document

PATH = Path("a.ndjson")

LINE = st.none() | st.sampled_from([b"", b"{}", b'{"a":1}'])


def _digests(lines: list[bytes | None]) -> list[bytes]:
    return [batch.digest for batch in batches(PATH, lines)]


@given(st.lists(LINE, max_size=5), st.integers(0, 2 * LINES + 3))
def test_every_line_is_in_one_batch_at_its_number(some: list[bytes | None], more: int) -> None:
    lines = some + [b"%d" % n for n in range(more)]
    found: list[bytes | None] = []
    for batch in batches(PATH, lines):
        assert batch.first == len(found) + 1
        assert 0 < len(batch.lines) <= LINES
        found += batch.lines
    assert found == lines


def test_long_lines_end_a_batch() -> None:
    line = b"x" * (BYTES // 2)
    assert [len(batch.lines) for batch in batches(PATH, [line] * 5)] == [2, 2, 1]


@given(st.lists(LINE, min_size=1, max_size=6), st.lists(LINE, min_size=1, max_size=6))
def test_digests_are_equal_for_equal_lines_only(one: list[bytes | None], other: list[bytes | None]) -> None:
    assert (_digests(one) == _digests(other)) == (one == other)


def test_same_lines_after_others_are_other_data() -> None:
    lines = [b"{}"] * LINES
    digests = _digests(lines * 3)
    assert len(set(digests)) == 3
    assert _digests(lines * 2) == digests[:2]


def test_ends_of_line_do_not_matter() -> None:
    assert _digests([b"{}", b"{}"]) == _digests([b"{} ", b"{}\r"])


def test_line_break_cannot_be_moved_between_lines() -> None:
    assert _digests([b"ab", b"c"]) != _digests([b"a", b"bc"])


def test_document_and_line_are_different_data() -> None:
    assert of_document(b"{}") not in _digests([b"{}"])
    assert of_document(b"{}\n") == of_document(b"{}")
