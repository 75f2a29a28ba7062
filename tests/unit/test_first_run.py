from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import date
from typing import Any

import psycopg
import pytest

from fhir_server import first_run
from fhir_server.store import tenants
from fhir_server.store.database_urls import DatabaseUrls

CLINICS = {"riverside": "Riverside", "hillside": "Hillside"}
TODAY = date(2026, 1, 2)


class Loader:
    """Remembers what was loaded; fails on the bundle of that number."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.loaded: list[tuple[str, int]] = []
        self.fail_at = fail_at

    @contextlib.contextmanager
    def __call__(self) -> Iterator[first_run.Load]:
        yield self._load

    def _load(self, slug: str, bundle: dict[str, Any]) -> None:
        if len(self.loaded) == self.fail_at:
            raise InterruptedError
        self.loaded.append((slug, bundle["number"]))


def _bundles(slug: str, today: date) -> Iterator[dict[str, Any]]:
    assert today == TODAY
    for number in range(3):
        yield {"number": number, "entry": [{"resource": {"resourceType": "Patient"}}] * 2}


@pytest.fixture
def owner(fresh_database: DatabaseUrls) -> Iterator[psycopg.Connection]:
    with psycopg.connect(str(fresh_database.owner), autocommit=True) as connection:
        yield connection


def _seed(owner: psycopg.Connection, loader: Loader) -> list[str]:
    lines: list[str] = []
    first_run.seed_demo_clinics(owner, CLINICS, _bundles, loader, lines.append, TODAY)
    return lines


def test_clinics_are_loaded_once(owner: psycopg.Connection) -> None:
    loader = Loader()
    lines = _seed(owner, loader)
    assert loader.loaded == [(slug, number) for slug in CLINICS for number in range(3)]
    assert [(tenant.slug, tenant.name) for tenant in tenants.listed(owner)] == sorted(CLINICS.items())
    assert all("6 resources: 6 Patient" in line for line in lines)
    again = Loader()
    assert _seed(owner, again) == []
    assert again.loaded == []


def test_run_that_was_cut_short_is_repeated_whole(owner: psycopg.Connection) -> None:
    with pytest.raises(InterruptedError):
        _seed(owner, Loader(fail_at=4))
    loader = Loader()
    _seed(owner, loader)
    assert len(loader.loaded) == 6


def test_database_with_clinics_of_its_own_gets_no_demo(owner: psycopg.Connection) -> None:
    tenants.create(owner, "lakeside")
    loader = Loader()
    _seed(owner, loader)
    assert loader.loaded == []
    assert [tenant.slug for tenant in tenants.listed(owner)] == ["lakeside"]
