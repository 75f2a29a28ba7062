"""The job worker's entry point. https://procrastinate.readthedocs.io/en/stable/howto/basics/worker.html"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from procrastinate import App, Blueprint, PsycopgConnector

from fhir_server import logs
from fhir_server.bulk import reindexing
from fhir_server.jobs import expiry, maintenance, reindex
from fhir_server.settings import Settings
from fhir_server.store import expired
from fhir_server.store.session import Database

GRACE_SECONDS = 5
"""How long running jobs may go on after a stop was asked for; then they are aborted and start over next time."""

CONNECT_SECONDS = 5
"""How long to wait for a connection: without a database, a worker that is told to stop must not wait for one."""


def create_app(
    app_url: str, concurrency: int = 2, public_url: str = "http://localhost", *, full_text: bool = True
) -> App:
    """The queue in the database at ``app_url`` with every task that this product has.

    ``public_url`` is the address of the server without a path: references below it are its own. ``full_text`` says
    whether words are indexed: FULL_TEXT in docs/settings.md.
    """
    # Each running job may use a connection, and so do listening, fetching and the heartbeat.
    connector = PsycopgConnector(conninfo=app_url, min_size=1, max_size=concurrency + 3, timeout=CONNECT_SECONDS)
    app = App(connector=connector)
    app.add_tasks_from(maintenance.tasks(), namespace="maintenance")
    app.add_tasks_from(_expiry_tasks(app_url), namespace="expiry")
    app.add_tasks_from(_reindex_tasks(app_url, public_url, full_text=full_text), namespace="reindex")
    return app


def _expiry_tasks(app_url: str) -> Blueprint:
    def remove() -> int:
        database = Database(app_url, 1)
        database.open()
        try:
            return expired.remove(database, time.time_ns() // 1000)
        finally:
            database.close()

    return expiry.tasks(remove)


def _reindex_tasks(app_url: str, public_url: str, *, full_text: bool) -> Blueprint:
    """The tasks that build indexes, each job over connections of its own: they are few, and seldom."""

    def go_on(tenant_id: int, run: str, should_stop: Callable[[], bool]) -> None:
        with reindexing.opened(app_url, public_url, full_text=full_text) as work:
            work.go_on(tenant_id, run, should_stop)

    def sweep() -> None:
        with reindexing.opened(app_url, public_url) as work:
            reindexing.sweep(work.database)

    return reindex.tasks(go_on, sweep)


async def serve(app: App, concurrency: int) -> None:
    """Run jobs until SIGINT or SIGTERM; what runs then has GRACE_SECONDS to end."""
    async with app.open_async():
        logs.event("worker started", concurrency=concurrency)
        await app.run_worker_async(
            concurrency=concurrency, shutdown_graceful_timeout=GRACE_SECONDS, delete_jobs="never"
        )
    logs.event("worker stopped")


def run(settings: Settings, app_url: str) -> None:
    """Run the worker in this process until it is told to stop."""
    app = create_app(app_url, settings.worker_concurrency, settings.public_url, full_text=settings.full_text)
    asyncio.run(serve(app, settings.worker_concurrency))
