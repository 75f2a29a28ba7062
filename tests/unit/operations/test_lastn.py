"""Choosing the newest of each kind, against the definition written out."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fhir_server.operations.lastn import _Observation, newest

CODES = st.lists(st.tuples(st.sampled_from("st"), st.sampled_from("abcd")), min_size=1, max_size=2, unique=True)
OBSERVATIONS = st.lists(
    st.tuples(st.sampled_from("pq"), st.one_of(st.none(), st.integers(0, 4)), CODES), max_size=14
).map(
    lambda rows: [
        _Observation(rid, str(rid), subject, date, tuple(codes), b"{}")
        for rid, (subject, date, codes) in enumerate(rows)
    ]
)


def kinds(found: list[_Observation]) -> list[set[tuple[str, str]]]:
    apart: list[set[tuple[str, str]]] = []
    for observation in found:
        merged = set(observation.codes)
        rest = []
        for kind in apart:
            if kind & merged:
                merged |= kind
            else:
                rest.append(kind)
        apart = [*rest, merged]
    return apart


@given(OBSERVATIONS, st.integers(1, 4))
def test_the_newest_of_each_kind_and_their_equals(found: list[_Observation], most: int) -> None:
    expected = set()
    for subject in "pq":
        for kind in kinds(found):
            group = [o for o in found if o.subject == subject and set(o.codes) & kind]
            ages = [-1 if o.date is None else o.date for o in group]
            # One is in where fewer than ``most`` are newer than it.
            expected |= {o.rid for o, age in zip(group, ages, strict=True) if sum(other > age for other in ages) < most}
    assert {o.rid for o in newest(found, most)} == expected


@given(OBSERVATIONS)
def test_newest_first_within_a_kind(found: list[_Observation]) -> None:
    chosen = newest(found, 3)
    for first, second in pairwise(chosen):
        if first.subject == second.subject and set(first.codes) & set(second.codes):
            assert (first.date is not None, first.date or 0) >= (second.date is not None, second.date or 0)
