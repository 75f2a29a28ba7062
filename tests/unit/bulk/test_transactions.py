from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import date
from typing import Any

import psycopg
import pytest

from fhir_server import first_run
from fhir_server.bulk.transactions import transaction_loader
from fhir_server.demo import transaction_bundles
from fhir_server.demo.clinic import CLINICS
from fhir_server.errors import Invalid, NotFound
from fhir_server.settings import Settings
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.tenants import Tenant
from tests.unit.bulk.loading import INVALID, bundle, patient, post

SETTINGS = Settings.from_env({})
TODAY = date(2026, 1, 2)


def test_bundle_is_committed_once_and_left_as_it_is(database: DatabaseUrls, tenant: Tenant) -> None:
    urn = "urn:uuid:0b4b4a4e-0000-4000-8000-000000000001"
    content = bundle(
        "transaction", post(patient(), urn), post(patient(link=[{"other": {"reference": urn}, "type": "seealso"}]))
    )
    for _ in range(2):
        with transaction_loader(SETTINGS, database.app) as load:
            load(tenant.slug, content)
            load(tenant.slug, content)
    assert content["entry"][1]["resource"]["link"][0]["other"]["reference"] == urn
    assert _count(database, tenant.slug, "resource") == 2


def test_refused_bundle_is_told_with_every_issue(database: DatabaseUrls, tenant: Tenant) -> None:
    with transaction_loader(SETTINGS, database.app) as load, pytest.raises(Invalid) as caught:
        load(tenant.slug, bundle("transaction", post(INVALID), post(INVALID)))
    assert len(caught.value.issues) == 2


def test_tenant_that_does_not_exist(database: DatabaseUrls) -> None:
    with transaction_loader(SETTINGS, database.app) as load, pytest.raises(NotFound, match="nowhere"):
        load("nowhere", bundle("transaction"))


def test_demo_clinics_are_whole_after_a_run_that_was_cut_short(fresh_database: DatabaseUrls) -> None:
    expected = {slug: sum(len(b["entry"]) for b in transaction_bundles(slug, TODAY)) for slug in CLINICS}
    with contextlib.suppress(InterruptedError):
        _seed(fresh_database, stop_at=20)
    assert 0 < _count(fresh_database, "riverside", "resource") < expected["riverside"]
    _seed(fresh_database)
    for slug, number in expected.items():
        assert _count(fresh_database, slug, "resource") == number
        # Nothing was written twice: there is no second version of anything.
        assert _count(fresh_database, slug, "resource_history") == 0
    assert _seed(fresh_database) == []


def _seed(database: DatabaseUrls, stop_at: int | None = None) -> list[str]:
    @contextlib.contextmanager
    def loader() -> Iterator[first_run.Load]:
        done = 0
        with transaction_loader(SETTINGS, database.app) as load:

            def counted(slug: str, content: dict[str, Any]) -> None:
                nonlocal done
                if done == stop_at:
                    raise InterruptedError
                load(slug, content)
                done += 1

            yield counted

    lines: list[str] = []
    names = {slug: clinic.name for slug, clinic in CLINICS.items()}
    with psycopg.connect(str(database.owner), autocommit=True) as owner:
        first_run.seed_demo_clinics(owner, names, transaction_bundles, loader, lines.append, TODAY)
    return lines


def _count(database: DatabaseUrls, slug: str, table: str) -> int:
    with psycopg.connect(database.app) as connection:
        row = connection.execute("SELECT set_config('fhir.tenant', id::text, true) FROM tenant WHERE slug = %s", [slug])
        assert row.fetchone()
        counted = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - names of this file
        assert counted is not None
        return int(counted[0])
