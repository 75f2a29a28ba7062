"""Connections, and transactions bound to one tenant. https://www.postgresql.org/docs/current/ddl-rowsecurity.html

The tenant is set inside the transaction and ends with it, so a pooler in transaction mode changes nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import psycopg
from psycopg import errors as pg
from psycopg import pq
from psycopg_pool import ConnectionPool, PoolTimeout

from fhir_server.errors import Conflict, Unavailable
from fhir_server.store import revocations
from fhir_server.store.consents_known import ConsentsKnown
from fhir_server.store.wire import Asked, Statement, run_simple, run_together

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ending(Generic[T]):
    """What work in a transaction comes to, and the statements that it ends with."""

    result: T
    last: Sequence[Asked] = ()


Connection = psycopg.Connection
"""What work in a transaction is given, for those above the store who hand it on to the store's functions."""

RETRIES = 4
"""How often a transaction that lost against a parallel one is run again."""

UNAVAILABLE = "The database cannot be reached just now; try again in a few seconds."
BUSY = "Too many parallel writes to the same resources; try again."
SLOW = "The request took longer than the server allows; narrow it down or try again later."


class Database:
    """The pool of connections of one process, as the application's role.

    ``app_url`` is a libpq URL; at most ``size`` connections are open at a time. A statement may take
    ``statement_timeout_ms`` milliseconds. ``look_ups``: the process only looks up and writes by keys, so that a plan
    that was made while tables were small must not read whole tables when they have grown.
    """

    def __init__(
        self,
        app_url: str,
        size: int,
        statement_timeout_ms: int = 30_000,
        wait_seconds: float = 10.0,
        *,
        look_ups: bool = False,
    ) -> None:
        self._look_ups = look_ups
        self._statement_timeout_ms = statement_timeout_ms
        self._app_url = app_url
        self.closed = threading.Event()
        self.consents = ConsentsKnown()
        self.on_revocation: Callable[[], None] | None = None
        self._pool = ConnectionPool(
            app_url,
            min_size=1,
            max_size=size,
            timeout=wait_seconds,
            max_idle=300.0,
            kwargs={"autocommit": True, "application_name": "fhir-server"},
            configure=self._configure,
            open=False,
            name="fhir-server",
        )

    def _configure(self, connection: psycopg.Connection) -> None:
        _check_connection(connection)
        connection.execute(f"SET statement_timeout = {int(self._statement_timeout_ms)}")
        if self._look_ups:
            connection.execute("SET enable_seqscan = off")

    def open(self) -> None:
        """Start connecting, in the background. A database that is down shows in `connection`, not here."""
        self._pool.open()

    def close(self) -> None:
        """Close every connection; requests under way fail."""
        self.closed.set()
        self._pool.close()

    def connect_apart(self) -> psycopg.Connection:
        """A connection of the application's role outside of the pool, in autocommit mode. Raises psycopg.Error."""
        connection = psycopg.connect(self._app_url, autocommit=True, application_name="fhir-server", connect_timeout=5)
        self._configure(connection)
        return connection

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection]:
        """A connection in autocommit mode, for this thread. Raises Unavailable where none is to be had."""
        connection = self._take()
        try:
            yield connection
        finally:
            self._give_back(connection)

    def _take(self) -> psycopg.Connection:
        try:
            return self._pool.getconn()
        except PoolTimeout:
            raise Unavailable(UNAVAILABLE, headers=[("Retry-After", "5")]) from None

    def _give_back(self, connection: psycopg.Connection) -> None:
        lost = connection.closed
        self._pool.putconn(connection)
        if lost:
            # The others in the pool have most likely lost the server as well: have them looked at now.
            self._pool.check()

    def run(self, work: Callable[[psycopg.Connection], T], *, read_only: bool = False) -> T:
        """Run one statement's worth of work, again if it lost against a parallel transaction.

        ``read_only`` work is also run again when the connection turns out to be lost. Raises Unavailable or Conflict.
        """
        for attempt in range(RETRIES + 1):
            try:
                connection = self._take()
                try:
                    return work(connection)
                finally:
                    self._give_back(connection)
            except (pg.DeadlockDetected, pg.SerializationFailure, pg.UniqueViolation):
                if attempt == RETRIES:
                    raise Conflict(BUSY, headers=[("Retry-After", "1")]) from None
                time.sleep(0.005 * 2**attempt)
            except pg.QueryCanceled:
                raise Unavailable(SLOW, code="timeout") from None
            except psycopg.OperationalError as error:
                if not read_only or attempt == RETRIES:
                    log.error("database unavailable", extra={"sqlstate": error.sqlstate})
                    raise Unavailable(UNAVAILABLE, headers=[("Retry-After", "5")]) from None
                time.sleep(0.05 * 2**attempt)
        raise AssertionError("unreachable")

    def look(self, tenant_id: int, asked: Sequence[Asked]) -> list[pq.abc.PGresult]:
        """What statements of a tenant that only read come to, in one round trip. Raises Unavailable or Conflict."""
        tenant: Asked = (_TENANT, [b"%d" % tenant_id])
        return self.run(lambda connection: run_together(connection, [tenant, *asked])[1:], read_only=True)

    def transaction(self, tenant_id: int, work: Callable[[psycopg.Connection], T]) -> T:
        """Run work in one transaction bound to a tenant: all of it or nothing; again if it lost against a parallel one.

        ``work`` must be repeatable: it sees nothing of its earlier attempts. Raises Unavailable or Conflict.

        ``on_revocation`` is called once it is committed that something was taken back.
        """
        return self.transaction_around(tenant_id, (), lambda connection, _: Ending(work(connection)))

    def transaction_around(
        self,
        tenant_id: int,
        first: Sequence[Asked],
        work: Callable[[psycopg.Connection, list[pq.abc.PGresult]], Ending[T]],
    ) -> T:
        """The same, for work that begins with statements known before, and ends with some whose results nobody needs.

        The first are executed in the round trip that begins the transaction, and ``work`` is given their results; the
        last in the one that commits it.
        """
        revoked = False

        def attempt(connection: psycopg.Connection) -> T:
            nonlocal revoked
            try:
                ending = work(connection, _begin(connection, tenant_id, first))
                _end(connection, ending.last)
            except BaseException:
                revocations.taken(connection)
                if not connection.closed:
                    run_simple(connection, "ROLLBACK")
                raise
            revoked = revocations.taken(connection)
            return ending.result

        result = self.run(attempt)
        if revoked and self.on_revocation is not None:
            self.on_revocation()
        return result


_BEGIN = Statement("fhir_begin", "BEGIN")
_COMMIT = Statement("fhir_commit", "COMMIT")
_TENANT = Statement("fhir_tenant", "SELECT set_config('fhir.tenant', $1, true)")


def _begin(connection: psycopg.Connection, tenant_id: int, first: Sequence[Asked]) -> list[pq.abc.PGresult]:
    """Begin a transaction of a tenant, with its first statements; their results."""
    if not first:
        run_simple(connection, f"BEGIN; SELECT set_config('fhir.tenant', '{int(tenant_id)}', true)")
        return []
    return run_together(connection, [(_BEGIN, ()), (_TENANT, [b"%d" % tenant_id]), *first])[2:]


def _end(connection: psycopg.Connection, last: Sequence[Asked]) -> None:
    """Commit, after the last statements; where one of them fails PostgreSQL comes to no COMMIT."""
    if last:
        run_together(connection, [*last, (_COMMIT, ())])
    else:
        run_simple(connection, "COMMIT")


def _check_connection(connection: psycopg.Connection) -> None:
    """Refuse a connection that would see through row level security, or read our literals differently."""
    row = connection.execute(
        "SELECT rolsuper OR rolbypassrls, current_setting('standard_conforming_strings'),"
        " current_setting('server_encoding'),"
        " EXISTS (SELECT FROM pg_class WHERE relname = 'resource' AND pg_has_role(current_user, relowner, 'USAGE'))"
        " FROM pg_roles WHERE rolname = current_user"
    ).fetchone()
    if row is None:
        raise psycopg.OperationalError("the database does not know the role that this connection is for")
    bypasses, conforming, encoding, owns = row
    if bypasses or owns:
        raise psycopg.OperationalError(
            "the application's database role owns the tables or bypasses row level security; use APP_DATABASE_URL"
        )
    if conforming != "on" or encoding != "UTF8":
        raise psycopg.OperationalError("the database must be UTF8 with standard_conforming_strings on")
