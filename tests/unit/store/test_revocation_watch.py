"""What was taken back is known everywhere at once. https://www.rfc-editor.org/rfc/rfc7009"""

from __future__ import annotations

import time
import uuid

import psycopg
import pytest

from fhir_server.errors import Unavailable
from fhir_server.store import revocation_watch as watched
from fhir_server.store import revocations
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.revocation_watch import Revocations
from fhir_server.store.session import Database

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
