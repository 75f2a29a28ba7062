"""Percentiles by nearest rank, and spread."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import percentile, spread

values = st.lists(st.floats(0, 1e9), min_size=1, max_size=200)


def test_percentiles_of_one_to_hundred() -> None:
    ordered = [float(n) for n in range(1, 101)]
    assert [percentile(ordered, p) for p in (0, 1, 50, 99, 100)] == [1, 1, 50, 99, 100]
    assert percentile([7.0], 99) == 7
    assert percentile([1.0, 2.0, 3.0, 4.0], 50) == 2


@given(values, st.integers(1, 100))
def test_at_least_that_part_lies_at_or_below(found: list[float], percent: int) -> None:
    ordered = sorted(found)
    value = percentile(ordered, percent)
    at_most = sum(one <= value for one in ordered)
    below = sum(one < value for one in ordered)
    assert at_most >= math.ceil(len(ordered) * percent / 100) > below


@pytest.mark.parametrize(("found", "percent"), [([], 50), ([1.0], -1), ([1.0], 101)])
def test_refused(found: list[float], percent: float) -> None:
    with pytest.raises(ValueError, match="percentile"):
        percentile(found, percent)


def test_spread() -> None:
    assert spread([90, 100, 110]) == pytest.approx(0.1)
    assert spread([5.0]) == 0
    assert spread([0.0, 0.0]) == 0
