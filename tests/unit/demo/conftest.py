"""Both clinics, built once for all tests."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from fhir_server.demo import TENANTS, transaction_bundles

TODAY = date(2026, 11, 25)


@pytest.fixture(scope="session", params=TENANTS)
def bundles(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    """One clinic's Bundles on TODAY; each test runs once a clinic."""
    return list(transaction_bundles(request.param, TODAY))


@pytest.fixture(scope="session")
def records(bundles: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The resources of each patient, the Patient first."""
    return [[entry["resource"] for entry in bundle["entry"]] for bundle in bundles[1:]]
