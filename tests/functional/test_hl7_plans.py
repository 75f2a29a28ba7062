"""The plans of searches for messages of HL7 v2, as the application's role: nobody walks through all of them.

https://www.postgresql.org/docs/current/using-explain.html
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from fhir_server.store import hl7_found, tenants
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.hl7_found import Wanted
from fhir_server.store.session import Database
from tests.functional.search_fixtures import opened

MESSAGES, PAGE = 40_000, 20

_FILL = """
INSERT INTO hl7_message (tenant_id, id, feed_id, received, state, control_id, message_type, event, application,
                         facility, fingerprint, raw, acknowledgment)
SELECT %(tenant)s, nextval('hl7_message_id'), 1, n,
       CASE WHEN n %% 4000 = 7 THEN 'dropped' WHEN n %% 4000 = 8 THEN 'dead' WHEN n > %(many)s - 100 THEN 'received'
            ELSE 'stored' END,
       'c' || n, CASE WHEN n %% 3 = 0 THEN 'ORU' WHEN n %% 8000 = 1 THEN 'BAR' ELSE 'ADT' END,
       CASE WHEN n %% 3 = 0 THEN 'R01' WHEN n %% 8000 = 1 THEN 'P01' WHEN n %% 8000 IN (2, 7999) THEN 'A60'
            ELSE (ARRAY['A01', 'A08', 'A03'])[1 + n %% 5 / 2] END,
       '', '', decode(md5(n::text), 'hex'), convert_to(repeat('x', 300), 'UTF8'), ''
  FROM generate_series(1, %(many)s) n
"""


@pytest.fixture(scope="module")
def clinic(database: DatabaseUrls) -> Iterator[tuple[Database, int]]:
    """One of two clinics with many messages, of which few are dropped, dead, of a rare type or event, or wait."""
    assert database.owner is not None
    with psycopg.connect(database.owner, autocommit=True) as owner:
        found = [tenants.create(owner, f"hl7-plans-{number}") for number in range(2)]
        for one in found:
            owner.execute(_FILL, {"tenant": one.id, "many": MESSAGES})
            owner.execute(
                "INSERT INTO hl7_queue (tenant_id, message_id, feed_id, patients) SELECT tenant_id, id, feed_id, '{}'"
                " FROM hl7_message WHERE tenant_id = %s AND state = 'received'",
                [one.id],
            )
        owner.execute("VACUUM ANALYZE hl7_message, hl7_queue")
        with opened(database) as pool:
            yield pool, found[0].id
        numbers = [one.id for one in found]
        owner.execute("DELETE FROM hl7_queue WHERE tenant_id = ANY(%s)", [numbers])
        owner.execute("DELETE FROM hl7_message WHERE tenant_id = ANY(%s)", [numbers])
        owner.execute("VACUUM ANALYZE hl7_message, hl7_queue")


class Explained:
    """A connection that has each statement's plan told, with what was read really."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self.nodes: list[dict[str, Any]] = []

    def execute(self, statement: bytes | str, values: Any = None) -> psycopg.Cursor[Any]:
        """Execute a statement, and its plan's twin before it."""
        text = statement if isinstance(statement, bytes) else statement.encode()
        row = self._connection.execute(b"EXPLAIN (ANALYZE, FORMAT JSON) " + text, values).fetchone()
        assert row is not None
        found = [row[0][0]["Plan"]]
        for node in found:
            found += node.get("Plans", [])
        self.nodes += found
        return self._connection.execute(text, values)


def listed(clinic: tuple[Database, int], wanted: Wanted, *, oldest: bool = False) -> tuple[list[int], set[str], float]:
    """The numbers that a search finds, the indexes that it goes by, and how many rows it reads."""
    database, tenant = clinic

    def work(connection: psycopg.Connection) -> tuple[list[int], Explained]:
        explained: Any = Explained(connection)
        found = hl7_found.listed(explained, tenant, wanted, PAGE, oldest=oldest)
        return [one.id for one in found], explained

    numbers, explained = database.transaction(tenant, work)
    walked = [node["Relation Name"] for node in explained.nodes if node["Node Type"] == "Seq Scan"]
    assert "hl7_message" not in walked
    scans = [node for node in explained.nodes if "Index Name" in node]
    read = sum(one["Actual Loops"] * (one["Actual Rows"] + one.get("Rows Removed by Filter", 0)) for one in scans)
    return numbers, {node["Index Name"] for node in scans}, read


@pytest.mark.parametrize(
    ("wanted", "index", "number"),
    [
        (Wanted(state="dropped"), "hl7_message_dropped", 10),
        (Wanted(state="dead"), "hl7_message_dead", 10),
        (Wanted(message_type="BAR"), "hl7_message_kind", 3),
        (Wanted(event="A60"), "hl7_message_kind", 7),
        (Wanted(message_type="ADT", event="A60"), "hl7_message_kind", 7),
        (Wanted(message_type="ADT", event="A60", state="stored", since=5, until=30_000), "hl7_message_kind", 4),
        (Wanted(event="Z99"), "hl7_message_kind", 0),
        (Wanted(message_type="ADT"), "hl7_message_kind", PAGE),
        (Wanted(event="R01", state="stored"), "hl7_message_kind", PAGE),
    ],
    ids=str,
)
def test_what_is_rare_is_found_by_an_index(
    clinic: tuple[Database, int], wanted: Wanted, index: str, number: int
) -> None:
    found, indexes, read = listed(clinic, wanted)
    assert len(found) == number
    assert index in indexes
    # A page of each event that there is, what waits with it, and some steps from event to event.
    assert read < 600


def test_a_search_finds_what_a_walk_through_all_messages_finds(clinic: tuple[Database, int]) -> None:
    database, tenant = clinic
    rows = database.transaction(
        tenant,
        lambda c: c.execute(
            "SELECT id, message_type, event, state FROM hl7_message WHERE tenant_id = %s ORDER BY id", [tenant]
        ).fetchall(),
    )
    chance = random.Random(7)
    for _ in range(60):
        kind, event = chance.choice(("", "ADT", "ORU", "BAR", "X")), chance.choice(("", "A01", "A60", "R01", "P01"))
        state, oldest = chance.choice(("", "stored", "dead", "dropped", "received")), chance.random() < 0.5
        before = chance.choice((None, chance.choice(rows)[0]))
        expected = [
            number
            for number, *said in (rows if oldest else reversed(rows))
            if all(not asked or asked == one for asked, one in zip((kind, event, state), said, strict=True))
            and (before is None or number < before)
        ]
        wanted = Wanted(message_type=kind, event=event, state=state, before=before)
        assert listed(clinic, wanted, oldest=oldest)[0] == expected[:PAGE], wanted
