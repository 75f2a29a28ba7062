"""fhir_server/search/date_windows.py"""

from __future__ import annotations

import pytest

from fhir_server.search.date_windows import is_bound, is_short
from fhir_server.search.parse import parse


@pytest.mark.parametrize(
    ("query", "bound"),
    [
        *((prefix + "2020", True) for prefix in ("ge", "gt", "sa", "le", "lt", "eb")),
        *((prefix + "2020", False) for prefix in ("", "eq", "ne", "ap")),
        ("ge2020,ge2021", False),
    ],
)
def test_one_sided_comparisons_are_bounds(query: str, bound: bool) -> None:
    (clause,) = parse("Observation", [("date", query)]).filters
    assert is_bound(clause) is bound


def test_missing_is_no_bound() -> None:
    (clause,) = parse("Observation", [("date:missing", "true")]).filters
    assert not is_bound(clause)


@pytest.mark.parametrize(
    ("bounds", "short"),
    [
        (["ge2020-05-01", "lt2020-06-01"], True),
        (["ge2020-05", "le2020-05"], True),
        (["sa2020-05-01", "eb2020-05-03"], True),
        (["ge2020-01", "lt2020-03-05", "gt2020-03"], True),
        (["lt2020-05-01", "ge2020-06-01"], True),
        (["ge2020-05-01", "lt2020-07-01"], False),
        (["ge2020", "le2020"], False),
        (["ge2020", "ge2021"], False),
        (["lt2020", "lt2021"], False),
    ],
)
def test_up_to_a_month_between_bounds_is_short(bounds: list[str], short: bool) -> None:
    query = parse("Observation", [("date", bound) for bound in bounds])
    assert is_short(query.filters) is short
