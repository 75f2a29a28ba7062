"""The jobs that build indexes: what reaches the work, and what becomes of its failures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import psycopg
from procrastinate import App, PsycopgConnector

from fhir_server.errors import Unavailable
from fhir_server.jobs import reindex
from fhir_server.store import reindex_runs
from fhir_server.store.database_urls import DatabaseUrls


def _app(urls: DatabaseUrls, work: reindex.Work, sweep: reindex.Sweep) -> App:
    app = App(connector=PsycopgConnector(conninfo=urls.app))
    app.add_tasks_from(reindex.tasks(work, sweep), namespace="reindex")
    return app


async def _run(app: App) -> None:
    async with app.open_async():
        await app.run_worker_async(wait=False, install_signal_handlers=False)


def _jobs(urls: DatabaseUrls) -> list[tuple[str, int]]:
    with psycopg.connect(urls.app) as connection:
        return connection.execute(
            "SELECT status::text, attempts FROM procrastinate_jobs WHERE task_name = %s ORDER BY id",
            [reindex_runs.TASK],
        ).fetchall()


def _start(urls: DatabaseUrls, tenant_id: int) -> str:
    with psycopg.connect(urls.app) as connection:
        connection.execute("SELECT set_config('fhir.tenant', %s, true)", [str(tenant_id)])
        return reindex_runs.request(connection, tenant_id, ["Patient"])


def test_a_run_that_is_noted_is_worked_on(fresh_database: DatabaseUrls) -> None:
    seen: list[tuple[int, str, bool]] = []

    def work(tenant_id: int, run: str, should_stop: Callable[[], bool]) -> None:
        seen.append((tenant_id, run, should_stop()))

    runs = [_start(fresh_database, tenant_id) for tenant_id in (7, 8)]
    asyncio.run(_run(_app(fresh_database, work, lambda: None)))
    assert seen == [(7, runs[0], False), (8, runs[1], False)]
    assert [status for status, _ in _jobs(fresh_database)] == ["succeeded", "succeeded"]


def test_a_database_that_is_away_is_tried_again(fresh_database: DatabaseUrls) -> None:
    def work(tenant_id: int, run: str, should_stop: Callable[[], bool]) -> None:
        raise Unavailable

    _start(fresh_database, 7)
    asyncio.run(_run(_app(fresh_database, work, lambda: None)))
    ((status, attempts),) = _jobs(fresh_database)
    assert status == "todo"
    assert attempts >= 1


def test_the_sweep(fresh_database: DatabaseUrls) -> None:
    swept: list[int] = []
    app = _app(fresh_database, lambda *_: None, lambda: swept.append(1))

    async def main() -> None:
        async with app.open_async():
            await app.configure_task("reindex:sweep").defer_async(timestamp=0)
            await app.run_worker_async(wait=False, install_signal_handlers=False)

    asyncio.run(main())
    assert swept
    assert app.tasks["reindex:sweep"].queueing_lock == "reindex:sweep"
