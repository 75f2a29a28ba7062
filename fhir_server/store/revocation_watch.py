"""What has been taken back, as every process knows it within a second. https://www.rfc-editor.org/rfc/rfc7009

PostgreSQL is asked once in FRESH_SECONDS, by the request that comes first; others that come meanwhile wait for it. When
it cannot be asked nobody is let in. What is taken back here is known here at once, and through Redis, where there is
one, elsewhere too; PostgreSQL alone is believed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import psycopg

from fhir_server.errors import Unavailable
from fhir_server.store import revocations
from fhir_server.store.redis_server import RedisServer
from fhir_server.store.session import UNAVAILABLE, Database

FRESH_SECONDS = 0.5
CHANNEL = "revocations"

_NEVER = float("-inf")


class Revocations:
    """The revocations of one database, for the life of the process; safe to share between threads."""

    def __init__(
        self, database: Database, clock: Callable[[], float] = time.monotonic, redis: RedisServer | None = None
    ) -> None:
        self._database = database
        self._redis = redis
        self._clock = clock
        self._lock = threading.Lock()
        self._seen = _NEVER
        self._forgotten = 0
        self._changing = threading.Lock()
        self._horizon = 0
        self._known: dict[tuple[str, str], int] = {}
        self._until: dict[tuple[str, str], int] = {}
        # Never one of the pool's: a request that holds the last of those may have to ask.
        self._connection: psycopg.Connection | None = None

    def watch(self) -> None:
        """Learn at once of what is taken back through this database, and tell and hear it through Redis."""
        self._database.on_revocation = self._taken
        if self._redis is not None:
            self._redis.listen(CHANNEL, self.forget, self._database.closed)

    def _taken(self) -> None:
        self.forget()
        if self._redis is not None:
            self._redis.publish(CHANNEL)

    def forget(self) -> None:
        """Ask anew before anybody is let in: something was taken back."""
        with self._changing:
            self._forgotten += 1
            self._seen = _NEVER

    def revoked(self, jti: str, grant: str, person: str, client: str, issued: int) -> bool:
        """Whether an access_token is void that was issued at ``issued``, in whole seconds since 1970.

        ``client`` is "slug client_id". Raises Unavailable.
        """
        if self._clock() - self._seen > FRESH_SECONDS:
            self._ask()
        known = self._known
        if not known:
            return False
        if ("token", jti) in known or (grant and ("grant", grant) in known):
            return True
        at = max(known.get(("person", person), -1), known.get(("client", client), -1))
        # An access_token of the same second may be older: it is void as well.
        return issued * 1_000_000 <= at

    def _ask(self) -> None:
        with self._lock:
            if self._clock() - self._seen <= FRESH_SECONDS:
                return
            asked, forgotten = self._clock(), self._forgotten
            now = time.time_ns() // 1000
            found, self._horizon = self._look(now)
            known, until = dict(self._known), dict(self._until)
            for one in found:
                key = (one.kind, one.value)
                known[key] = max(one.at, known.get(key, 0))
                until[key] = max(one.until, until.get(key, 0))
            for key in [key for key, end in until.items() if end <= now]:
                known.pop(key, None)
                until.pop(key, None)
            # Replaced whole: requests read it without the lock.
            self._known, self._until = known, until
            with self._changing:
                # What was taken back while PostgreSQL was asked may not be in its answer.
                if forgotten == self._forgotten:
                    self._seen = asked

    def _look(self, now: int) -> tuple[list[revocations.Revoked], int]:
        for attempt in (1, 2):
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = self._database.connect_apart()
                return revocations.since(self._connection, self._horizon, now)
            except psycopg.Error:
                connection, self._connection = self._connection, None
                if connection is not None:
                    connection.close()
                if attempt == 2:
                    raise Unavailable(UNAVAILABLE, headers=[("Retry-After", "5")]) from None
        raise AssertionError("unreachable")
