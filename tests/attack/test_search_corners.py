"""Pages of one in every order under every kind of condition, forward and backward."""

from __future__ import annotations

import pytest

from tests.functional.conftest import Api
from tests.functional.test_search_corners import SORTS, api_of_module, pages_of_one, sorted_api

__all__ = ["api_of_module", "sorted_api"]

CONDITIONS = (
    "status=final",
    "patient=Patient/a,Patient/b",
    "date=ge0001",
    "code:missing=false",
    "subject:Patient.active=true",
    "date=ge2019&date=lt2022",
    "_id=o00,o01,o02,o03,o09,o13",
    "_filter=not(date gt 2020) or subject:Patient.active eq true",
)


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("sort", SORTS)
def test_pages_of_one_under_a_condition(sorted_api: Api, sort: str, condition: str) -> None:
    pages_of_one(sorted_api, f"Observation?{condition}&_sort={sort}", f"Observation?{condition}&")
