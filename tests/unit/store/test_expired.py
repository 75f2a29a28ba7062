"""What has expired is forgotten, what has not is kept. docs/operations.md"""

from __future__ import annotations

import asyncio
import time

import psycopg
from procrastinate import App, PsycopgConnector

from fhir_server.jobs import expiry
from fhir_server.store import expired, sign_in_failures
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant

ROWS = [
    ("web_session", "created, seen, expires, digest, id, person_id, methods", "1, 1, {}, 'd{}', 's', 'p', '{{}}'"),
    ("authorization_request", "created, expires, digest, request", "1, {}, 'd{}', '{{}}'"),
    ("authorization_code", "expires, digest, grant_id, redirect_uri, challenge", "{}, 'd{}', 'g', 'u', 'c'"),
    ("smart_launch", "created, expires, digest, person_id, context", "1, {}, 'd{}', 'p', '{{}}'"),
    ("client_assertion", "expires, digest, client_id", "{}, 'd{}', 'c'"),
    ("initial_access_token", "expires, digest, uses", "{}, 'd{}', 1"),
    ("refresh_token", "created, expires, digest, grant_id", "1, {}, 'd{}', 'g'"),
]


def test_what_expired_over_a_day_ago_goes(app_database: Database, tenant: Tenant) -> None:
    now = time.time_ns() // 1000

    def write(connection: psycopg.Connection) -> None:
        for table, columns, values in ROWS:
            for number, expires in enumerate((now - 2 * expired.DAY, now - expired.DAY // 2, now + expired.DAY)):
                given = values.format(expires, number)
                connection.execute(f"INSERT INTO {table} (tenant_id, {columns}) VALUES ({tenant.id}, {given})")  # noqa: S608
        for number, created in enumerate((now - 500 * expired.DAY, now - 5 * expired.DAY)):
            connection.execute(
                "INSERT INTO oauth_grant (tenant_id, created, expires, id, client_id, person_id, scope)"
                " VALUES (%s, %s, %s, %s, 'c', 'p', '')",
                [tenant.id, created, 2**62, f"old{number}"],
            )
        sign_in_failures.failed(connection, tenant.id, b"long ago", now - 3 * expired.DAY)
        sign_in_failures.failed(connection, tenant.id, b"just now", now)

    def left(connection: psycopg.Connection) -> dict[str, int]:
        counts = {}
        for table in (*(name for name, _, _ in ROWS), "oauth_grant", "sign_in_failure"):
            row = connection.execute(f"SELECT count(*) FROM {table} WHERE tenant_id = %s", [tenant.id]).fetchone()  # noqa: S608
            counts[table] = row[0] if row else 0
        return counts

    app_database.transaction(tenant.id, write)
    assert expired.remove(app_database, now) >= len(ROWS) + 2
    assert app_database.transaction(tenant.id, left) == {name: 2 for name, _, _ in ROWS} | {
        "oauth_grant": 1,
        "sign_in_failure": 1,
    }


def test_the_job_calls_it(fresh_database: DatabaseUrls) -> None:
    calls = []

    async def run() -> None:
        app = App(connector=PsycopgConnector(conninfo=fresh_database.app))
        app.add_tasks_from(expiry.tasks(lambda: calls.append(1) or 0), namespace="expiry")
        async with app.open_async():
            await app.configure_task("expiry:remove_expired").defer_async(timestamp=1)
            await app.run_worker_async(wait=False, install_signal_handlers=False)

    asyncio.run(run())
    # In the minute in which the task is due by itself, it is run twice.
    assert set(calls) == {1}
    assert len(calls) <= 2
