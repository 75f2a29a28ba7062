"""Thousands of searches against the plain Python evaluation, over universes that differ from run to run."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import Phase, given
from hypothesis import strategies as st

from fhir_server.app import FhirServer
from fhir_server.store.database_urls import DatabaseUrls
from tests.functional.test_search_everything import check, everything, make_world
from tests.oracle.queries import Queries


@pytest.mark.parametrize("seed", [11, 23, 37, 53])
def test_finds_what_plain_python_finds(
    app: FhirServer, access_token: Callable[..., str], database: DatabaseUrls, seed: int
) -> None:
    api, universe = make_world(app, access_token, database, seed)
    queries = Queries(universe, depth=3)

    @everything(max_examples=1500, derandomize=False, phases=[Phase.generate, Phase.shrink])
    @given(data=st.data())
    def every(data: st.DataObject) -> None:
        check(api, universe, data.draw(queries.search()))

    every()
