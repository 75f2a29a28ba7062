"""Numbers of a search and their comparison. https://hl7.org/fhir/R4/search.html#number"""

from __future__ import annotations

from decimal import Decimal
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.search import number_ranges
from fhir_server.search.sql import SqlParameters
from fhir_server.search.values import PREFIXES
from tests.unit.search.sql_oracle import Row

# Quarters have exact doubles, so that the definition and the index cannot differ by rounding.
QUARTERS = st.integers(-40, 40).map(lambda n: Decimal(n) / 4)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("100", "99.5", "100.5"),
        ("100.00", "99.995", "100.005"),
        ("1e2", "95", "105"),
        ("5.4", "5.35", "5.45"),
        ("-5", "-5.5", "-4.5"),
        ("+0.010", "0.0095", "0.0105"),
        ("1.5e-3", "0.001495", "0.001505"),
    ],
)
def test_what_rounds_to_a_number(text: str, low: str, high: str) -> None:
    value, half = number_ranges.searched(text)
    assert (value - half, value + half) == (Decimal(low), Decimal(high))


@pytest.mark.parametrize(
    "text", ["", "a", "1,0", "1.", ".5", "0x1", "1e", "NaN", "inf", "1_0", "\u0661", "1e99999", "1" * 401]
)
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a number is written as"):
        number_ranges.searched(text)


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_a_number_is_within_what_rounds_to_it(number: Decimal) -> None:
    try:
        value, half = number_ranges.searched(str(number))
    except ValueError:
        assert abs(number.adjusted()) > 400 or len(number.as_tuple().digits) > 400
        return
    assert value == number
    assert half > 0


@pytest.mark.parametrize("prefix", [p for p in PREFIXES if p != "ap"])
@given(low=QUARTERS, width=st.integers(0, 8), value=QUARTERS)
def test_every_prefix(prefix: str, low: Decimal, width: int, value: Decimal) -> None:
    high = low + Decimal(width) / 4
    half = Decimal("0.125")
    expected = {
        "eq": value - half <= low and high < value + half,
        "ne": not (value - half <= low and high < value + half),
        "gt": high > value,
        "lt": low < value,
        "ge": high >= value,
        "le": low <= value,
        "sa": low > value,
        "eb": high < value,
    }[prefix]
    sql = SqlParameters(1)
    condition = number_ranges.comparison(prefix, value, half, sql, "low", "high")
    assert Row(float(low), float(high)).satisfies(condition, sql) is expected


@given(st.integers(16, 60), st.integers(-(10**6), 10**6))
def test_more_digits_than_a_double_has_still_find_the_number(digits: int, thousandths: int) -> None:
    value, half = number_ranges.searched(f"{Decimal(thousandths) / 1000:.{digits}f}")
    sql = SqlParameters(1)
    condition = number_ranges.comparison("eq", value, half, sql, "low", "high")
    point = number_ranges.exact(Decimal(thousandths) / 1000)
    assert Row(point, point).satisfies(condition, sql)


def test_a_scale_is_that_of_the_columns() -> None:
    sql = SqlParameters(1)
    condition = number_ranges.comparison("eq", Decimal(5), Decimal("0.5"), sql, "low", "high", lambda n: float(n) * 10)
    assert sorted(sql.values[1:]) == [45.0, 55.0]
    assert Row(54.9, 54.9).satisfies(condition, sql)
    assert number_ranges.compared(5, "<=", lambda n: float(n) * 10) == (-inf, 50.0)
    limits = {"low": {"value": 1}, "high": {"value": 2}}
    assert number_ranges.of_range(limits, lambda n: float(n) * 10, lambda n: float(n) * 100) == (10.0, 200.0)


def test_ap_takes_a_tenth() -> None:
    sql = SqlParameters(1)
    condition = number_ranges.comparison("ap", Decimal(100), Decimal("0.5"), sql, "low", "high")
    found = [n for n in range(200) if Row(n, n).satisfies(condition, sql)]
    assert (found[0], found[-1]) == (90, 110)


@given(QUARTERS, QUARTERS)
def test_a_comparator_leaves_one_end_open(number: Decimal, other: Decimal) -> None:
    ranges = {c: number_ranges.compared(number, c) for c in (None, "<", "<=", ">", ">=")}
    inside = {c: low <= float(other) <= high for c, (low, high) in ranges.items()}
    assert inside == {
        None: other == number, "<": other < number, "<=": other <= number, ">": other > number, ">=": other >= number,
    }  # fmt: skip


def test_ranges_and_samples() -> None:
    assert number_ranges.of_range({"low": {"value": 1}, "high": {"value": Decimal("2.5")}}) == (1.0, 2.5)
    assert number_ranges.of_range({"low": {"value": 1}}) == (1.0, inf)
    assert number_ranges.of_range({"high": {"value": 1}}) == (-inf, 1.0)
    assert number_ranges.of_range({"low": {"unit": "mg"}}) is None
    samples = {"origin": {"value": 10}, "factor": -2, "data": "1 E 3 L U nan inf"}
    assert number_ranges.of_sampled_data(samples) == (4.0, 8.0)
    assert number_ranges.of_sampled_data({"origin": {"value": 1}, "data": "E"}) is None
    assert number_ranges.of_sampled_data({"origin": {"value": 1}}) is None


def test_numbers_beyond_a_double_are_infinite() -> None:
    assert number_ranges.exact(10**400) == number_ranges.exact(Decimal("1e400")) == inf
    assert number_ranges.exact(-(10**400)) == -inf


def test_samples_without_end_are_taken_by_their_limits() -> None:
    endless = {"origin": {"value": 0}, "data": "1 " * 500_001}
    assert number_ranges.of_sampled_data(endless) is None
    assert number_ranges.of_sampled_data({**endless, "lowerLimit": -5, "upperLimit": 5}) == (-5.0, 5.0)
