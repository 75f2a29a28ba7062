from __future__ import annotations

import asyncio
import os
import signal
import time

import psycopg
import pytest
from procrastinate import App

from fhir_server import worker
from fhir_server.jobs import maintenance
from fhir_server.store.database_urls import DatabaseUrls


def _status(urls: DatabaseUrls, task: str) -> list[str]:
    with psycopg.connect(urls.app) as connection:
        rows = connection.execute(
            "SELECT status::text FROM procrastinate_jobs WHERE task_name = %s ORDER BY id", [task]
        ).fetchall()
    return [status for (status,) in rows]


async def _run(app: App, task: str, **arguments: object) -> None:
    """Defer ``task`` and run jobs until none is left."""
    async with app.open_async():
        await app.configure_task(task).defer_async(**arguments)
        await app.run_worker_async(wait=False, install_signal_handlers=False)


def test_application_role_can_run_jobs(fresh_database: DatabaseUrls) -> None:
    app = worker.create_app(fresh_database.app)
    done: list[str] = []

    @app.task(name="note")
    async def note(word: str) -> None:
        done.append(word)

    asyncio.run(_run(app, "note", word="hello"))
    assert done == ["hello"]
    assert _status(fresh_database, "note") == ["succeeded"]


def test_old_jobs_are_removed_and_failed_ones_kept(fresh_database: DatabaseUrls) -> None:
    app = worker.create_app(fresh_database.app)

    @app.task(name="quick")
    async def quick() -> None: ...

    @app.task(name="broken")
    async def broken() -> None:
        raise ValueError

    asyncio.run(_run(app, "quick"))
    asyncio.run(_run(app, "broken"))
    with psycopg.connect(str(fresh_database.owner)) as connection:
        age = f"{maintenance.KEEP_FINISHED_HOURS + 1} hours"
        connection.execute("UPDATE procrastinate_events SET at = at - %s::interval", [age])
    asyncio.run(_run(worker.create_app(fresh_database.app), "maintenance:remove_old_jobs", timestamp=0))
    assert _status(fresh_database, "quick") == []
    assert _status(fresh_database, "broken") == ["failed"]


def test_jobs_of_a_dead_worker_start_over(fresh_database: DatabaseUrls) -> None:
    app = worker.create_app(fresh_database.app)
    done: list[int] = []

    @app.task(name="interrupted")
    async def interrupted() -> None:
        done.append(1)

    async def leave_behind() -> None:
        async with app.open_async():
            await interrupted.defer_async()
            dead = await app.job_manager.register_worker()
            assert await app.job_manager.fetch_job(queues=None, worker_id=dead)

    asyncio.run(leave_behind())
    with psycopg.connect(str(fresh_database.owner)) as connection:
        connection.execute("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 hour'")
    assert _status(fresh_database, "interrupted") == ["doing"]
    again = worker.create_app(fresh_database.app)
    again.task(interrupted.func, name="interrupted")
    asyncio.run(_run(again, "maintenance:retry_stalled_jobs", timestamp=0))
    asyncio.run(_run(again, "maintenance:retry_stalled_jobs", timestamp=60))
    assert _status(fresh_database, "interrupted") == ["succeeded"]
    assert done == [1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_worker_stops_when_told_to(fresh_database: DatabaseUrls, number: signal.Signals) -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_later(0.5, os.kill, os.getpid(), number)
        await worker.serve(worker.create_app(fresh_database.app), concurrency=2)

    begun = time.monotonic()
    asyncio.run(main())
    assert 0.4 < time.monotonic() - begun < 5
