"""The database alone keeps tenants apart. https://www.postgresql.org/docs/current/ddl-rowsecurity.html"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from functools import partial

import psycopg
import pytest
from psycopg import sql

from fhir_server.access import relations
from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import Unavailable
from fhir_server.store import audit, care, search_parameters
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.index_rows import IndexRows, Words
from fhir_server.store.parameter_definition import Definition
from fhir_server.store.resources import Write
from fhir_server.store.schema import TENANT_TABLES
from fhir_server.store.session import Database
from fhir_server.store.store import Store

APPEND_ONLY = {"resource_history", "audit_record", "audit_entity", "hl7_message_patient"}
NEVER_DELETED = {"audit_head", "assignment", "break_glass", "person", "hl7_message", "hl7_outbox", "hl7_alert"}
HASHER = Hasher(bytes(16))
HL7_MESSAGE = (
    "id, feed_id, received, state, control_id, message_type, event, application, facility, fingerprint, raw,"
    " acknowledgment"
)
MORE_ROWS = [
    ("person", "created, id, username, name, roles", "1, 'p', 'u', 'n', '{staff}'"),
    ("second_factor", "created, person_id, id, kind, secret", "1, 'p', 'f', 'totp', ''"),
    ("sign_in_failure", "last, failures, subject", "1, 1, 'x'"),
    ("web_session", "created, seen, expires, digest, id, person_id, methods", "1, 1, 2, 'd', 's', 'p', '{}'"),
    ("clinic_setting", "name, value", "'style', '{}'"),
    ("oauth_client", "created, id, name, method, state, scope", "1, 'c', 'n', 'none', 'active', ''"),
    ("initial_access_token", "expires, uses, digest", "2, 1, 'd'"),
    ("authorization_request", "created, expires, digest, request", "1, 2, 'd', '{}'"),
    ("oauth_grant", "created, expires, id, client_id, person_id, scope", "1, 2, 'g', 'c', 'p', ''"),
    ("authorization_code", "expires, digest, grant_id, redirect_uri, challenge", "2, 'd', 'g', 'u', 'c'"),
    ("refresh_token", "created, expires, digest, grant_id", "1, 2, 'd', 'g'"),
    ("smart_launch", "created, expires, digest, person_id, context", "1, 2, 'd', 'p', '{}'"),
    ("client_assertion", "expires, client_id, digest", "2, 'c', 'd'"),
    ("hl7_feed", "created, changed, name, configuration", "1, 1, 'lab', '{}'"),
    ("hl7_sequence", "feed_id, expected", "1, 2"),
    ("hl7_alert", "feed_id, raised, condition, feed", "1, 1, 'silent', 'lab'"),
    ("hl7_message", HL7_MESSAGE, "1, 1, 1, 'received', 'c', 'ADT', 'A01', 'a', 'f', 'x', 'raw', 'ack'"),
    ("hl7_message_patient", "patient, message_id", "1, 1"),
    ("hl7_queue", "message_id, feed_id, patients", "1, 1, '{1}'"),
    ("hl7_lineage", "key, entries", "1, '{}'"),
    ("hl7_destination", "created, changed, name, type_ids, configuration", "1, 1, 'his', '{}', '{}'"),
    ("hl7_outbox", "destination_id, key, patient, created, version, type_id, resource_id", "1, 1, 1, 1, 1, 1, 'a'"),
]
NAMES = [table.name for table in TENANT_TABLES]


@pytest.fixture
def stores(new_store: Callable[[], Store]) -> tuple[Store, Store]:
    """Two tenants with a row in every table."""
    both = new_store(), new_store()
    for store in both:
        rows = IndexRows(
            [1], [2], [(1, 2)], [(1, "a", 2)], [(1, 2, 3)], [(1, 0.5, 1.5, 2)], [(1, 0.5, 1.5, "a")], 5, 6, 7,
            words=Words({(1, 2): 3, (4, 2): 0}, {4: ((5, 6), (7, 8))}),
        )  # fmt: skip
        for _ in range(2):
            store.put(Write("Basic", "a", "PUT", None, None, b"{}", rows))
        for table, columns, values in MORE_ROWS:
            statement = f"INSERT INTO {table} (tenant_id, {columns}) VALUES ($1, {values}) RETURNING 1"  # noqa: S608
            store.search(statement, [store.tenant_id])
        store.search("INSERT INTO word_gap VALUES ($1, 1, now(), '') RETURNING 1", [store.tenant_id])
        store.search("INSERT INTO load_progress VALUES ($1, 1, now(), 'x', '{}') RETURNING 1", [store.tenant_id])
        store.search("INSERT INTO care_relation VALUES ($1, 1, 2, 3, 0, 9, 1) RETURNING 1", [store.tenant_id])
        store.search(
            "INSERT INTO consent_rule VALUES ($1, 1, 2, 0, 9, 0, 9, 1, 1, false) RETURNING 1", [store.tenant_id]
        )
        assignment = care.Assignment("User/a", "1", relations.MATTER, 0, 9, "a matter", "reason", "User/b")
        store.within(partial(care.assign, tenant_id=store.tenant_id, hasher=HASHER, given=assignment))
        store.within(
            partial(
                care.break_glass,
                tenant_id=store.tenant_id,
                hasher=HASHER,
                broken=care.Broken("User/a", "1", "a reason", 0, 9),
            )
        )
        row = audit.Row(str(uuid.uuid4()), 1, "read", "0", 2, 3, "{}", frozenset((4,)))
        with store.database.connection() as own:
            audit.append(own, store.tenant_id, [row])
        definition = Definition("own", "token", "urn:own", "Patient.name.use", ("Patient",))
        store.within(
            partial(search_parameters.register, tenant_id=store.tenant_id, parameter_id="a", definition=definition)
        )
    return both


@pytest.fixture
def connection(database: DatabaseUrls) -> Iterator[psycopg.Connection]:
    """A connection as the application's role, with nothing of ours around it."""
    with psycopg.connect(database.app) as raw:
        yield raw
        raw.rollback()


def count(connection: psycopg.Connection, name: str) -> int:
    row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name))).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("setting", [None, ""])
def test_no_tenant_no_rows(
    connection: psycopg.Connection, stores: tuple[Store, Store], name: str, setting: str | None
) -> None:
    if setting is not None:
        connection.execute("SELECT set_config('fhir.tenant', %s, true)", [setting])
    assert count(connection, name) == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_tenant_sees_and_touches_its_own_rows_only(
    connection: psycopg.Connection, stores: tuple[Store, Store], name: str
) -> None:
    own, other = stores
    connection.execute("SELECT set_config('fhir.tenant', %s, true)", [str(own.tenant_id)])
    seen = connection.execute(sql.SQL("SELECT DISTINCT tenant_id FROM {}").format(sql.Identifier(name))).fetchall()
    assert seen == [(own.tenant_id,)]
    table = sql.Identifier(name)
    for statement in (
        "DELETE FROM {} WHERE tenant_id = %s",
        "UPDATE {} SET tenant_id = tenant_id WHERE tenant_id = %s",
    ):
        if name not in APPEND_ONLY and not (name in NEVER_DELETED and statement.startswith("DELETE")):
            assert connection.execute(sql.SQL(statement).format(table), [other.tenant_id]).rowcount == 0
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(
            sql.SQL(
                "INSERT INTO {} SELECT (jsonb_populate_record(t, jsonb_build_object('tenant_id', %s))).* FROM {} t"
            ).format(table, table),
            [other.tenant_id],
        )


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE resource_history SET version = 9",
        "DELETE FROM resource_history",
        "UPDATE audit_record SET record = ''",
        "DELETE FROM audit_record",
        "TRUNCATE audit_record",
        "DELETE FROM audit_entity",
        "DELETE FROM audit_head",
        "DELETE FROM assignment",
        "DELETE FROM break_glass",
    ],
)
def test_history_cannot_be_rewritten(
    connection: psycopg.Connection, stores: tuple[Store, Store], statement: str
) -> None:
    connection.execute("SELECT set_config('fhir.tenant', %s, true)", [str(stores[0].tenant_id)])
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement.encode())


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_record SET record = ''", "DELETE FROM audit_record", "TRUNCATE audit_record"]
)
def test_not_even_the_owner_rewrites_the_audit_trail(
    database: DatabaseUrls, stores: tuple[Store, Store], statement: str
) -> None:
    assert database.owner is not None
    with psycopg.connect(database.owner) as owner:
        owner.execute("SELECT set_config('fhir.tenant', %s, true)", [str(stores[0].tenant_id)])
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            owner.execute(statement.encode())


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE resource DISABLE ROW LEVEL SECURITY",
        "DROP POLICY tenant_isolation ON resource",
        "SET ROLE postgres",
        "INSERT INTO tenant (slug, name) VALUES ('x', 'x')",
        "UPDATE server_secret SET value = 'x'",
        "TRUNCATE resource",
    ],
)
def test_the_application_cannot_open_the_lock(connection: psycopg.Connection, statement: str) -> None:
    if statement.startswith("SET ROLE") and connection.info.user != "fhir_app":
        pytest.skip("a session of the owner, which DATABASE_URL alone gives, can leave the role (docs/operations.md)")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement.encode())


def test_the_view_for_people_is_held_to_it_too(connection: psycopg.Connection, stores: tuple[Store, Store]) -> None:
    assert count(connection, "fhir_resource") == 0
    connection.execute("SELECT set_config('fhir.tenant', %s, true)", [str(stores[0].tenant_id)])
    rows = connection.execute("SELECT type, id, resource FROM fhir_resource").fetchall()
    assert [(r[0], r[1], r[2]["resourceType"], r[2]["meta"]["versionId"]) for r in rows] == [
        ("Basic", "a", "Basic", "2")
    ]


def test_the_tenant_does_not_outlive_its_transaction(
    connection: psycopg.Connection, stores: tuple[Store, Store]
) -> None:
    connection.execute("SELECT set_config('fhir.tenant', %s, true)", [str(stores[0].tenant_id)])
    assert count(connection, "resource") == 1
    connection.commit()
    assert count(connection, "resource") == 0


def test_a_role_that_sees_through_is_refused(database: DatabaseUrls) -> None:
    assert database.owner is not None
    pool = Database(database.owner, 1, wait_seconds=1)
    pool.open()
    try:
        with pytest.raises(Unavailable), pool.connection():
            pass
    finally:
        pool.close()
