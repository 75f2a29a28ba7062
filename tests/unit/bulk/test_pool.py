from __future__ import annotations

import json
import time
from pathlib import Path

import psutil
import pytest

from fhir_server.bulk.pool import Pool
from fhir_server.bulk.work import LoadFile, Outcome, Settled, Work
from fhir_server.settings import ConfigurationError
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.tenants import Tenant
from tests.unit.bulk.loading import patient


@pytest.fixture
def settled(database: DatabaseUrls, tenant: Tenant) -> Settled:
    return Settled(database.app, tenant.id, tenant.slug, f"http://localhost/t/{tenant.slug}/fhir", 1 << 20, again=False)


def _processes() -> list[psutil.Process]:
    return [p for p in psutil.Process().children() if "spawn_main" in " ".join(p.cmdline())]


def _done(pool: Pool) -> list[tuple[Work, Outcome]]:
    found: list[tuple[Work, Outcome]] = []
    deadline = time.monotonic() + 30
    while pool.busy and time.monotonic() < deadline:
        found += pool.receive(1.0)
    return found


def test_work_comes_back_with_its_outcome_and_no_process_stays(settled: Settled, tmp_path: Path) -> None:
    works = []
    for number in range(2):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(patient(number)))
        works.append(LoadFile(path))
    with Pool(2, settled) as pool:
        processes = _processes()
        for work in works:
            pool.send(work)
        assert not pool.idle
        found = _done(pool)
        assert pool.idle
    assert sorted((work.path, outcome.loaded) for work, outcome in found) == [(work.path, 1) for work in works]
    assert len(processes) == 2
    assert not any(process.is_running() for process in processes)


def test_process_that_ends_unexpectedly_is_told(settled: Settled, tmp_path: Path) -> None:
    with Pool(1, settled) as pool:
        (process,) = _processes()
        process.suspend()
        pool.send(LoadFile(tmp_path / "a.json"))
        process.kill()
        with pytest.raises(ConfigurationError, match="killed by SIGKILL"):
            _done(pool)


def test_database_that_cannot_be_reached_is_told_at_the_start(settled: Settled) -> None:
    gone = Settled("postgresql://nobody@127.0.0.1:1/nowhere", 1, "a", "http://localhost/t/a/fhir", 1 << 20, again=False)
    with pytest.raises(ConfigurationError, match="cannot be reached"), Pool(1, gone):
        pass
    assert not _processes()
