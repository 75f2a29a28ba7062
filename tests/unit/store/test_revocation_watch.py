"""What was taken back is known everywhere at once. https://www.rfc-editor.org/rfc/rfc7009"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
import redis as redis_client

from fhir_server.errors import Unavailable
from fhir_server.store import redis_server, revocations
from fhir_server.store import revocation_watch as watched
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.redis_server import RedisServer
from fhir_server.store.revocation_watch import Revocations
from fhir_server.store.session import Database
from tests.redis_process import RedisProcess

FAR = 2**62


@pytest.fixture
def unique() -> str:
    return uuid.uuid4().hex


def now() -> int:
    return time.time_ns() // 1000


def is_revoked(known: Revocations, **named: str) -> bool:
    values = {"jti": "-", "grant": "-", "person": "-", "client": "-"} | named
    return known.revoked(**values, issued=int(time.time()) - 10)


def revoke(connection: psycopg.Connection, kind: str, value: str) -> None:
    revocations.revoke(connection, kind, value, FAR, now())


@pytest.mark.parametrize(
    ("kind", "name"), [("token", "jti"), ("grant", "grant"), ("person", "person"), ("client", "client")]
)
def test_another_process_knows_within_a_second(app_database: Database, unique: str, kind: str, name: str) -> None:
    other = Revocations(app_database)
    assert not is_revoked(other, **{name: unique})
    app_database.transaction(1, lambda c: revoke(c, kind, unique))
    begun = time.monotonic()
    while not is_revoked(other, **{name: unique}):
        assert time.monotonic() - begun < 1
        time.sleep(0.02)


def test_what_a_person_was_given_later_is_good(app_database: Database, unique: str) -> None:
    known = Revocations(app_database)
    app_database.transaction(1, lambda c: revoke(c, "person", unique))
    assert known.revoked("-", "-", unique, "-", int(time.time()) - 1)
    assert not known.revoked("-", "-", unique, "-", int(time.time()) + 1)


def test_a_commit_is_not_missed_that_began_before_a_look_and_ends_after_it(
    database: DatabaseUrls, app_database: Database, unique: str
) -> None:
    known = Revocations(app_database)
    with psycopg.connect(database.app) as slow, psycopg.connect(database.app) as quick:
        revoke(slow, "token", unique + "slow")
        revoke(quick, "token", unique + "quick")
        quick.commit()
        assert is_revoked(known, jti=unique + "quick")
        assert not is_revoked(known, jti=unique + "slow")
        for _ in range(2):
            known.forget()
            assert not is_revoked(known, jti=unique + "slow")
        slow.commit()
        known.forget()
        assert is_revoked(known, jti=unique + "slow")


def test_one_look_serves_half_a_second(app_database: Database, unique: str, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    real = revocations.since
    monkeypatch.setattr(revocations, "since", lambda *given: looks.append(1) or real(*given))
    clock = [100.0]
    known = Revocations(app_database, lambda: clock[0])
    for _ in range(100):
        is_revoked(known, jti=unique)
    assert len(looks) == 1
    clock[0] += watched.FRESH_SECONDS + 0.01
    is_revoked(known, jti=unique)
    assert len(looks) == 2


def test_a_lost_connection_is_made_again(database: DatabaseUrls, app_database: Database, unique: str) -> None:
    known = Revocations(app_database)
    is_revoked(known, jti=unique)
    with psycopg.connect(database.owner, autocommit=True) as owner:
        assert known._connection is not None
        owner.execute("SELECT pg_terminate_backend(%s)", [known._connection.info.backend_pid])
    known.forget()
    assert not is_revoked(known, jti=unique)


def test_nobody_is_let_in_when_it_cannot_be_known() -> None:
    nowhere = Database("postgresql://nobody@127.0.0.1:1/nothing", 1)
    with pytest.raises(Unavailable):
        is_revoked(Revocations(nowhere), jti="a")


def test_what_has_expired_is_forgotten(app_database: Database, unique: str) -> None:
    known = Revocations(app_database)
    at = now()
    app_database.transaction(1, lambda c: revocations.revoke(c, "token", unique, at + 300_000, at))
    assert is_revoked(known, jti=unique)
    time.sleep(0.35)
    known.forget()
    assert not is_revoked(known, jti=unique)
    assert app_database.transaction(1, lambda c: revocations.prune(c, now())) >= 1


def test_what_is_taken_back_here_is_known_here_at_once(database: DatabaseUrls, unique: str) -> None:
    pool = Database(database.app, 2)
    pool.open()
    known = Revocations(pool, lambda: 100.0)
    known.watch()
    assert not is_revoked(known, jti=unique)
    pool.transaction(1, lambda c: revoke(c, "token", unique))
    assert is_revoked(known, jti=unique)
    pool.close()


def test_what_was_not_committed_is_told_to_nobody(database: DatabaseUrls, unique: str) -> None:
    pool = Database(database.app, 1)
    pool.open()
    told: list[str] = []
    pool.on_revocation = lambda: told.append("revoked")

    def fail(connection: psycopg.Connection) -> None:
        revoke(connection, "token", unique)
        raise LookupError

    with pytest.raises(LookupError):
        pool.transaction(1, fail)
    pool.transaction(1, lambda c: c.execute("SELECT 1"))
    assert told == []
    pool.transaction(1, lambda c: revoke(c, "token", unique))
    assert told == ["revoked"]
    pool.close()


def test_what_is_taken_back_during_a_look_is_found_by_the_next(
    app_database: Database, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Revocations(app_database, lambda: 100.0)
    real = revocations.since

    def look(*given: Any) -> Any:
        found = real(*given)
        app_database.transaction(1, lambda c: revoke(c, "token", unique))
        known.forget()
        return found

    monkeypatch.setattr(revocations, "since", look)
    assert not is_revoked(known, jti=unique)
    monkeypatch.setattr(revocations, "since", real)
    assert is_revoked(known, jti=unique)


@pytest.fixture
def process(database: DatabaseUrls, redis: RedisProcess) -> Iterator[Callable[[], tuple[Database, Revocations]]]:
    """A function that makes what a web process has; its clock stands still, so that it never looks by itself again."""
    with ExitStack() as opened:

        def make() -> tuple[Database, Revocations]:
            pool = Database(database.app, 2)
            pool.open()
            opened.callback(pool.close)
            known = Revocations(pool, lambda: 100.0, RedisServer(redis.url))
            known.watch()
            return pool, known

        yield make


def listeners(redis: RedisProcess) -> int:
    with redis_client.Redis.from_url(redis.url) as client:
        return dict(client.pubsub_numsub("fhir:revocations"))[b"fhir:revocations"]


def eventually(true: Callable[[], bool], seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def test_redis_tells_the_others_at_once(
    process: Callable[[], tuple[Database, Revocations]], redis: RedisProcess, unique: str
) -> None:
    (here, _), (_, other), (_, third) = process(), process(), process()
    assert eventually(lambda: listeners(redis) == 3)
    assert eventually(lambda: other._forgotten == third._forgotten == 1)
    assert not is_revoked(other, jti=unique)
    assert not is_revoked(third, jti=unique)
    here.transaction(1, lambda c: revoke(c, "token", unique))
    assert eventually(lambda: is_revoked(other, jti=unique), 0.5)
    assert eventually(lambda: is_revoked(third, jti=unique), 0.5)


def test_what_was_said_while_redis_was_gone_is_asked_for(
    process: Callable[[], tuple[Database, Revocations]],
    redis: RedisProcess,
    unique: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(redis_server, "REST_SECONDS", 0.05)
    (here, _), (_, other) = process(), process()
    assert eventually(lambda: listeners(redis) == 2)
    assert eventually(lambda: other._forgotten == 1)
    assert not is_revoked(other, jti=unique)
    redis.stop()
    here.transaction(1, lambda c: revoke(c, "token", unique))
    redis.start()
    assert eventually(lambda: is_revoked(other, jti=unique))
