"""The nine prefixes on dates against their definition on sets of instants. https://hl7.org/fhir/R4/search.html#prefix"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.r4 import instants
from fhir_server.search import date_ranges
from fhir_server.search.sql import SqlParameters
from fhir_server.search.values import PREFIXES
from tests.unit.search.sql_oracle import Row

FIRST, LAST = -8, 20
INTERVALS = st.tuples(st.integers(0, 6), st.integers(1, 4)).map(lambda pair: (pair[0], pair[0] + pair[1]))
OPEN = st.sampled_from(["", "low", "high", "both"])
"""Instants are whole numbers between FIRST and LAST, which stand for no beginning and no end."""


def matches(prefix: str, searched: set[int], target: set[int]) -> bool:
    """The specification's sentences, on sets."""
    above = set(range(max(searched) + 1, LAST + 1))
    below = set(range(FIRST, min(searched)))
    equal = target <= searched
    return {
        "eq": equal,
        "ne": not equal,
        "gt": bool(above & target),
        "lt": bool(below & target),
        "ge": bool(above & target) or equal,
        "le": bool(below & target) or equal,
        "sa": not searched & target and target <= above,
        "eb": not searched & target and target <= below,
    }[prefix]


@pytest.mark.parametrize("prefix", [p for p in PREFIXES if p != "ap"])
@pytest.mark.parametrize("cast", ["bigint", "float8"])
@given(searched=INTERVALS, target=INTERVALS, opened=OPEN)
def test_every_prefix(prefix: str, cast: str, searched: tuple[int, int], target: tuple[int, int], opened: str) -> None:
    low = FIRST if opened in ("low", "both") else target[0]
    high = LAST + 1 if opened in ("high", "both") else target[1]
    expected = matches(prefix, set(range(*searched)), set(range(low, high)))
    sql = SqlParameters(1)
    condition = date_ranges.comparison(prefix, searched, sql, "low", "high", cast)
    stored = (instants.MIN if low == FIRST else low, instants.MAX if high == LAST + 1 else high)
    assert Row(*stored).satisfies(condition, sql) is expected


def test_ap_takes_a_tenth_of_the_time_to_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: 1_000 * 1_000)
    sql = SqlParameters(1)
    condition = date_ranges.comparison("ap", (500, 510), sql, "low", "high", "bigint")
    found = [us for us in range(400, 600) if Row(us, us + 1).satisfies(condition, sql)]
    assert (found[0], found[-1]) == (450, 559)


def test_the_text_of_a_date() -> None:
    assert date_ranges.searched("2020-01-01T00:00:00 01:00") == instants.interval("2020-01-01T00:00:00+01:00")
    with pytest.raises(ValueError, match="a date is written as 2026, 2026-11"):
        date_ranges.searched("1.1.2020")
