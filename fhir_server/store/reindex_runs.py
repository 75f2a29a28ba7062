"""Passes over the resources of some types that make their index what it should be. docs/search-parameters.md"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

import psycopg

from fhir_server.store.resources import TYPE_IDS

TASK = "reindex:go_on"
QUEUE = "reindex"

FRESH_SECONDS = 2.0
"""How old at most is what a process knows of a tenant's parameters when it writes an index row by it."""

UNFINISHED = ("waiting", "building", "checking")

_COLUMNS = (
    "id, reason, types, state, at_type, at_rid, done, total, horizon, ready, started, heartbeat, finished, error,"
    " clock_timestamp()"
)


@dataclass(frozen=True, slots=True)
class Run:
    """A run: how far it has come of the resources of ``types``, of which it is in the one numbered ``at_type`` from 0.

    ``state`` is waiting, building, checking, finished, failed or superseded; ``reason`` parameter, removal, request or
    upgrade; ``now`` is when it was read.
    """

    id: str
    reason: str
    types: Sequence[str]
    state: str
    at_type: int
    at_rid: int
    done: int
    total: int
    horizon: int | None
    ready: datetime
    started: datetime | None
    heartbeat: datetime | None
    finished: datetime | None
    error: str
    now: datetime

    @property
    def eta(self) -> datetime | None:
        """When it will be finished if it goes on as fast as so far; None where that is not known, or it is."""
        if self.started is None or not self.done or self.state not in UNFINISHED:
            return None
        return self.now + (self.now - self.started) * (max(self.total - self.done, 0) / self.done)


def start(
    connection: psycopg.Connection, tenant_id: int, types: Sequence[str], reason: str, *, at_once: bool = True
) -> str:
    """Note a run and leave it to the workers, in a transaction of the tenant; answers its id.

    Without ``at_once`` it begins when every process knows of what this transaction changes.
    """
    run = str(uuid4())
    seconds = 0.0 if at_once else 2 * FRESH_SECONDS
    connection.execute(
        "INSERT INTO reindex_run (tenant_id, id, reason, types, state, ready)"
        " VALUES (%s, %s, %s, %s, 'waiting', clock_timestamp() + %s)",
        [tenant_id, run, reason, list(types), timedelta(seconds=seconds)],
    )
    defer(connection, tenant_id, run)
    return run


def defer(connection: psycopg.Connection, tenant_id: int, run: str) -> None:
    """Leave a run to the workers: a job of the queue, in the same transaction. One at a time of each tenant's."""
    connection.execute(
        "SELECT procrastinate_defer_jobs_v1(ARRAY[ROW(%s, %s, 0, %s, NULL, %s, NULL)::procrastinate_job_to_defer_v1])",
        [QUEUE, TASK, f"reindex/{tenant_id}", json.dumps({"tenant_id": tenant_id, "run": run})],
    )


def supersede(connection: psycopg.Connection, tenant_id: int, run: str) -> None:
    """End a run that another one will do the work of."""
    connection.execute(
        "UPDATE reindex_run SET state = 'superseded', finished = clock_timestamp()"
        " WHERE tenant_id = %s AND id = %s AND state = ANY(%s)",
        [tenant_id, run, list(UNFINISHED)],
    )


def request(connection: psycopg.Connection, tenant_id: int, types: Sequence[str]) -> str:
    """Note a run that somebody asks for, in a transaction of the tenant; answers its id."""
    run = start(connection, tenant_id, types, "request")
    connection.execute(
        "INSERT INTO search_parameter_change VALUES (%s, 1, 0, true) ON CONFLICT (tenant_id) DO UPDATE SET"
        " unfinished = true",
        [tenant_id],
    )
    return run


def latest(connection: psycopg.Connection, tenant_id: int, most: int) -> list[Run]:
    """The runs noted last, the newest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM reindex_run WHERE tenant_id = %s ORDER BY created DESC, id LIMIT %s", [tenant_id, most]
    )
    return [Run(*row) for row in rows]


def find(connection: psycopg.Connection, tenant_id: int, run: str) -> Run | None:
    """A run, in a transaction of the tenant."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM reindex_run WHERE tenant_id = %s AND id = %s",
        [tenant_id, run],
    ).fetchone()
    return Run(*row) if row else None


def begin(connection: psycopg.Connection, tenant_id: int, run: Run) -> None:
    """From waiting to building: count what there is to do."""
    connection.execute(
        "UPDATE reindex_run SET state = 'building', started = clock_timestamp(), heartbeat = clock_timestamp(),"
        " total = (SELECT count(*) FROM resource r WHERE r.tenant_id = %s AND r.type_id = ANY(%s) AND NOT r.deleted)"
        " WHERE tenant_id = %s AND id = %s AND state = 'waiting'",
        [tenant_id, [TYPE_IDS[name] for name in run.types], tenant_id, run.id],
    )


def advance(connection: psycopg.Connection, tenant_id: int, run: str, at: tuple[int, int], more: int) -> bool:
    """Note that the run has come to (type, rid), with ``more`` resources; False where it is not being built now."""
    done = connection.execute(
        "UPDATE reindex_run SET at_type = %s, at_rid = %s, done = done + %s, heartbeat = clock_timestamp()"
        " WHERE tenant_id = %s AND id = %s AND state = 'building'",
        [*at, more, tenant_id, run],
    )
    return bool(done.rowcount)


def move(connection: psycopg.Connection, tenant_id: int, run: str, before: str, after: str, error: str = "") -> bool:
    """Set the state of a run that is still in the one ``before``; ``error`` is why it failed."""
    done = connection.execute(
        "UPDATE reindex_run SET state = %s, error = %s, heartbeat = clock_timestamp(), finished = CASE"
        " WHEN %s = ANY(%s) THEN NULL ELSE clock_timestamp() END WHERE tenant_id = %s AND id = %s AND state = %s",
        [after, error, after, list(UNFINISHED), tenant_id, run, before],
    )
    return bool(done.rowcount)


def live(connection: psycopg.Connection, tenant_id: int, run: str) -> None:
    """Note that somebody works on the run."""
    connection.execute(
        "UPDATE reindex_run SET heartbeat = clock_timestamp() WHERE tenant_id = %s AND id = %s", [tenant_id, run]
    )


def any_unfinished(connection: psycopg.Connection, tenant_id: int) -> bool:
    """Whether the tenant has a run that is to go on."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM reindex_run WHERE tenant_id = %s AND state = ANY(%s))",
        [tenant_id, list(UNFINISHED)],
    ).fetchone()
    return bool(row and row[0])


def is_upgrading(connection: psycopg.Connection, tenant_id: int) -> bool:
    """Whether the tenant's index is being brought up to date after an upgrade, in a transaction of the tenant."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM reindex_run WHERE tenant_id = %s AND state = ANY(%s) AND reason = 'upgrade')",
        [tenant_id, list(UNFINISHED)],
    ).fetchone()
    return bool(row and row[0])


def set_horizon(connection: psycopg.Connection, tenant_id: int, run: str) -> None:
    """Note the transactions that are open by now: those that may still write by what was known before.

    A number of this transaction's own, since a snapshot's xmax may be lower than that of one that is open.
    """
    connection.execute(
        "UPDATE reindex_run SET horizon = pg_current_xact_id()::text::bigint"
        " WHERE tenant_id = %s AND id = %s AND horizon IS NULL",
        [tenant_id, run],
    )


def horizon_passed(connection: psycopg.Connection, horizon: int) -> bool:
    """Whether all transactions that were open then have ended.
    https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SNAPSHOT"""
    row = connection.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint >= %s", [horizon]).fetchone()
    return bool(row and row[0])


def tenants_with_work(connection: psycopg.Connection) -> list[int]:
    """The tenants of which some run is unfinished."""
    rows = connection.execute("SELECT tenant_id FROM search_parameter_change WHERE unfinished ORDER BY tenant_id")
    return [tenant_id for (tenant_id,) in rows]


def left_behind(connection: psycopg.Connection, tenant_id: int, seconds: int) -> list[str]:
    """Unfinished runs that nobody has worked on for so long and no job is left for; in a transaction of the tenant."""
    rows = connection.execute(
        "SELECT r.id FROM reindex_run r WHERE r.tenant_id = %s AND r.state = ANY(%s)"
        " AND coalesce(r.heartbeat, r.ready) < clock_timestamp() - %s AND NOT EXISTS ("
        " SELECT FROM procrastinate_jobs j WHERE j.task_name = %s AND j.status IN ('todo', 'doing')"
        " AND j.args->>'run' = r.id)",
        [tenant_id, list(UNFINISHED), timedelta(seconds=seconds), TASK],
    )
    return [run for (run,) in rows]


def slug(connection: psycopg.Connection, tenant_id: int) -> str:
    """The tenant's name in its addresses."""
    row = connection.execute("SELECT slug FROM tenant WHERE id = %s", [tenant_id]).fetchone()
    return str(row[0]) if row else ""
