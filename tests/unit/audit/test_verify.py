"""Any record that is changed, removed, put elsewhere or put in is found: in the database, and in an export by the
program that an auditor runs. docs/audit.md, "Verifying" """

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server.audit import chain, export
from fhir_server.audit.event import Event
from fhir_server.audit.trail import Trail
from fhir_server.audit.verify import Head, Part, Report, beginning_of, verify, verify_part
from fhir_server.crypto.hashing import Hasher
from fhir_server.r4.instants import MAX, MIN
from fhir_server.store import audit
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant

NUMBER = 8


def load_program() -> ModuleType:
    path = Path(__file__).parents[3] / "scripts" / "verify_audit.py"
    spec = importlib.util.spec_from_file_location("verify_audit", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PROGRAM = load_program()


@pytest.fixture
def recorded(trail: Trail, tenant: Tenant, make: Callable[..., Event]) -> Tenant:
    """A tenant with some records."""
    for number in range(NUMBER):
        trail.record(make(resource_type="Basic", resource_id=str(number), subject="s", client_id="c", query="é"))
    trail.flush()
    return tenant


@pytest.fixture
def master(database: DatabaseUrls, recorded: Tenant) -> Iterator[psycopg.Connection]:
    """Somebody who can do anything to the database: no trigger stops them, and no row level security."""
    assert database.owner is not None
    with psycopg.connect(database.owner, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        yield connection


def test_what_was_not_touched_is_in_order(app_database: Database, hasher: Hasher, recorded: Tenant) -> None:
    assert verify(app_database, hasher, recorded.id) == Report(NUMBER)
    head = audit.head(app_database, recorded.id)
    assert head is not None
    assert verify(app_database, hasher, recorded.id, Head(*head)) == Report(NUMBER)


def test_a_tenant_without_records_is_in_order(app_database: Database, hasher: Hasher, tenant: Tenant) -> None:
    assert verify(app_database, hasher, tenant.id) == Report(0)


CHANGES: dict[str, tuple[str, int]] = {
    "changed": ("UPDATE audit_record SET record = replace(record, 'Basic', 'Basin') WHERE seq = 4 AND {own}", 3),
    "changed with its hash": (
        (
            "UPDATE audit_record SET record = 'x', hash = sha256("
            "(SELECT hash FROM audit_record WHERE seq = 3 AND {own}) || int8send(4) || 'x'::bytea)"
            " WHERE seq = 4 AND {own}"
        ),
        3,
    ),
    "removed": ("DELETE FROM audit_record WHERE seq = 4 AND {own}", 3),
    "the first removed": ("DELETE FROM audit_record WHERE seq = 1 AND {own}", 0),
    "the last removed": ("DELETE FROM audit_record WHERE seq = 8 AND {own}", 7),
    "all removed": ("DELETE FROM audit_record WHERE {own}", 0),
    "swapped": (
        (
            "UPDATE audit_record SET seq = CASE seq WHEN 4 THEN -5 ELSE -4 END WHERE seq IN (4, 5) AND {own};"
            "UPDATE audit_record SET seq = -seq WHERE seq < 0 AND {own}"
        ),
        3,
    ),
    "another kind": ("UPDATE audit_record SET kind = 'login' WHERE seq = 4 AND {own}", 3),
    "another time": ("UPDATE audit_record SET at = at + 1 WHERE seq = 4 AND {own}", 3),
    "another agent": ("UPDATE audit_record SET agent = 1 WHERE seq = 4 AND {own}", 3),
    "another outcome": ("UPDATE audit_record SET outcome = 4 WHERE seq = 4 AND {own}", 3),
    "not found any more": (
        "DELETE FROM audit_entity WHERE id = (SELECT id FROM audit_record WHERE seq = 4 AND {own})",
        8,
    ),
    "found by another": (
        "INSERT INTO audit_entity SELECT tenant_id, 99, id FROM audit_record WHERE seq = 4 AND {own}",
        8,
    ),
    "found without a record": (
        "INSERT INTO audit_entity SELECT tenant_id, 99, gen_random_uuid() FROM audit_head WHERE {own}",
        8,
    ),
    "inserted at the end": (
        (
            "INSERT INTO audit_record SELECT tenant_id, 9, at, agent, client, gen_random_uuid(), outcome, kind, record,"
            " hash FROM audit_record WHERE seq = 8 AND {own}"
        ),
        8,
    ),
    "another head": ("UPDATE audit_head SET hash = sha256('x') WHERE {own}", 8),
    "no head": ("DELETE FROM audit_head WHERE {own}", 0),
    "a head further on": ("UPDATE audit_head SET seq = 9 WHERE {own}", 8),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_in_the_database_is_found(
    app_database: Database, hasher: Hasher, recorded: Tenant, master: psycopg.Connection, name: str
) -> None:
    statement, good = CHANGES[name]
    for part in statement.format(own=f"tenant_id = {recorded.id}").split(";"):
        assert master.execute(part.encode()).rowcount > 0
    found = verify(app_database, hasher, recorded.id)
    assert found.problem
    assert found.records == good


def test_a_chain_that_was_written_anew_is_found_by_the_head_that_was_kept(
    app_database: Database, hasher: Hasher, recorded: Tenant, master: psycopg.Connection
) -> None:
    kept = audit.head(app_database, recorded.id)
    assert kept is not None
    current = chain.genesis(recorded.id)
    for link in audit.walk(app_database, recorded.id, 0, 100):
        record = link.record.replace('"status":200', '"status":201') if link.seq == 4 else link.record
        current = chain.link(current, link.seq, record)
        master.execute(
            "UPDATE audit_record SET record = %s, hash = %s WHERE seq = %s AND tenant_id = %s",
            [record, current, link.seq, recorded.id],
        )
    master.execute("UPDATE audit_head SET hash = %s WHERE tenant_id = %s", [current, recorded.id])
    assert verify(app_database, hasher, recorded.id).problem == ""
    assert verify(app_database, hasher, recorded.id, Head(*kept)).problem


def test_a_chain_that_was_cut_is_found_by_the_head_that_was_kept(
    app_database: Database, hasher: Hasher, recorded: Tenant, master: psycopg.Connection
) -> None:
    kept = audit.head(app_database, recorded.id)
    assert kept is not None
    for statement in (
        "DELETE FROM audit_entity WHERE id IN (SELECT id FROM audit_record WHERE seq > 5 AND tenant_id = %(own)s)",
        "DELETE FROM audit_record WHERE seq > 5 AND tenant_id = %(own)s",
        (
            "UPDATE audit_head SET seq = 5, hash ="
            " (SELECT hash FROM audit_record WHERE seq = 5 AND tenant_id = %(own)s) WHERE tenant_id = %(own)s"
        ),
    ):
        master.execute(statement.encode(), {"own": recorded.id})
    assert verify(app_database, hasher, recorded.id) == Report(5)
    assert "removed" in verify(app_database, hasher, recorded.id, Head(*kept)).problem


def in_parts(database: Database, hasher: Hasher, tenant: Tenant, most: int) -> list[Part]:
    """The whole trail, part by part."""
    parts = [verify_part(database, hasher, tenant.id, beginning_of(tenant.id), most)]
    while not (parts[-1].complete or parts[-1].problem):
        parts.append(verify_part(database, hasher, tenant.id, Head.parse(str(parts[-1].head)), most))
    return parts


def test_parts_come_to_the_whole(app_database: Database, hasher: Hasher, recorded: Tenant) -> None:
    parts = in_parts(app_database, hasher, recorded, 3)
    assert [(one.after, one.head.seq, one.complete) for one in parts] == [(0, 3, False), (3, 6, False), (6, 8, True)]
    assert not any(one.problem for one in parts)
    head = audit.head(app_database, recorded.id)
    assert head is not None
    assert parts[-1].head == Head(*head)
    newest = verify_part(app_database, hasher, recorded.id, None, 3)
    assert (newest.after, newest.head, newest.complete, newest.problem) == (5, Head(*head), True, "")
    assert verify_part(app_database, hasher, recorded.id, None, 100).after == 0
    assert verify_part(app_database, hasher, recorded.id, Head(*head), 3) == Part(8, Head(*head), True)


def test_a_trail_without_records_has_a_part_in_order(app_database: Database, hasher: Hasher, tenant: Tenant) -> None:
    assert verify_part(app_database, hasher, tenant.id, None, 3) == Part(0, beginning_of(tenant.id), True)


OF_THE_WHOLE = {"found by another", "found without a record"}
"""What no part can tell: rows of the index beside those that belong there."""


@pytest.mark.parametrize("name", sorted(set(CHANGES) - OF_THE_WHOLE))
@pytest.mark.parametrize("most", [1, 3, 100])
def test_every_change_is_found_in_some_part(
    app_database: Database, hasher: Hasher, recorded: Tenant, master: psycopg.Connection, name: str, most: int
) -> None:
    statement, _ = CHANGES[name]
    for part in statement.format(own=f"tenant_id = {recorded.id}").split(";"):
        assert master.execute(part.encode()).rowcount > 0
    assert in_parts(app_database, hasher, recorded, most)[-1].problem


def test_a_part_begins_where_the_chain_still_is_what_it_was(
    app_database: Database, hasher: Hasher, recorded: Tenant, master: psycopg.Connection
) -> None:
    kept = verify_part(app_database, hasher, recorded.id, beginning_of(recorded.id), 4).head

    def problem(head: Head | None) -> str:
        return verify_part(app_database, hasher, recorded.id, head, 3).problem

    assert (kept.seq, problem(kept)) == (4, "")
    assert "not the one" in problem(Head(4, b"x" * 32))
    assert "removed" in problem(Head(9, kept.hash))
    assert "not the one" in problem(Head(0, kept.hash))
    own = f"tenant_id = {recorded.id}".encode()
    master.execute(b"UPDATE audit_record SET record = replace(record, 'Basic', 'Basin') WHERE seq = 4 AND " + own)
    assert "not the one" in problem(kept)
    assert problem(None) == "", "it is before the newest"
    assert verify_part(app_database, hasher, recorded.id, None, 4).problem
    master.execute(b"DELETE FROM audit_record WHERE seq = 4 AND " + own)
    assert "not the one" in problem(kept)


@pytest.mark.parametrize("text", ["", "1", "x:" + "0" * 64, "1:" + "0" * 63, "1:" + "g" * 64, "-1:" + "0" * 64,
                                  "\u0661:" + "0" * 64, "9" * 19 + ":" + "0" * 64, "1:" + "0" * 64 + ":"])  # fmt: skip
def test_what_is_no_head(text: str) -> None:
    with pytest.raises(ValueError):
        Head.parse(text)


def exported(database: Database, tenant: Tenant, start: int = MIN, end: int = MAX) -> list[str]:
    return [json.dumps(line) + "\n" for line in export.lines(database, tenant.id, tenant.slug, start, end)]


def test_an_export_is_in_order(app_database: Database, recorded: Tenant, tenant: Tenant) -> None:
    kept = audit.head(app_database, recorded.id)
    assert kept is not None
    head = (kept[0], kept[1].hex())
    whole = exported(app_database, recorded)
    assert PROGRAM.verify(whole) == (NUMBER, *head)
    assert PROGRAM.verify(whole, head) == (NUMBER, *head)
    assert PROGRAM.verify(whole, (3, json.loads(whole[3])["hash"])) == (NUMBER, *head)


def test_a_part_of_the_trail_is_in_order(app_database: Database, recorded: Tenant) -> None:
    times = [link.at for link in audit.walk(app_database, recorded.id, 0, 100)]
    part = exported(app_database, recorded, times[2], times[5])
    assert [json.loads(line)["seq"] for line in part[1:-1]] == [3, 4, 5]
    assert PROGRAM.verify(part)[:2] == (3, 5)
    nothing = exported(app_database, recorded, 1, 2)
    assert PROGRAM.verify(nothing)[:2] == (0, 0)


def broken(lines: list[str], head: tuple[int, str] | None = None) -> bool:
    try:
        PROGRAM.verify(lines, head)
    except PROGRAM.Broken:
        return True
    return False


def rewritten(lines: list[str]) -> list[str]:
    """The lines with hashes that fit, as somebody who knows how they are made would write them."""
    header, *records, end = map(json.loads, lines)
    current, seq = bytes.fromhex(header["previous"]), header["first"] - 1
    for record in records:
        seq += 1
        current = chain.link(current, seq, record["record"])
        record |= {"seq": seq, "hash": current.hex()}
    header["last"] = seq
    end["head"] = {"seq": seq, "hash": current.hex()}
    return [json.dumps(line) for line in (header, *records, end)]


MUTATIONS = ("change", "remove", "swap", "insert", "repeat", "cut", "field")


@st.composite
def mutated(draw: st.DrawFn, lines: list[str]) -> list[str]:
    """The export with one thing done to its records."""
    header, *records, end = map(json.loads, lines)
    place = draw(st.integers(0, len(records) - 1))
    other = draw(st.integers(0, len(records) - 1).filter(lambda n: n != place))
    match draw(st.sampled_from(MUTATIONS)):
        case "change":
            text = records[place]["record"]
            at = draw(st.integers(0, len(text) - 1))
            new = draw(st.characters(codec="utf-8").filter(lambda c: c != text[at]))
            records[place]["record"] = text[:at] + new + text[at + 1 :]
        case "remove":
            del records[place]
        case "swap":
            records[place], records[other] = records[other], records[place]
        case "insert":
            event = json.loads(records[place]["record"]) | {"subject": "somebody else"}
            records.insert(other, records[place] | {"record": json.dumps(event)})
        case "repeat":
            records.insert(other, records[place])
        case "cut":
            del records[place:]
        case "field":
            name: Any = draw(st.sampled_from(["seq", "hash", "record"]))
            records[place][name] = records[other][name]
    if draw(st.booleans()):
        return [json.dumps(line) for line in (header, *records, end)]
    # Whoever does it may take care that numbers are in order.
    for seq, record in enumerate(records, start=1):
        record["seq"] = seq
    header["last"] = len(records)
    return [json.dumps(line) for line in (header, *records, end)]


def test_every_change_of_an_export_is_found(app_database: Database, recorded: Tenant) -> None:
    lines = exported(app_database, recorded)
    kept = json.loads(lines[-1])["head"]

    @settings(max_examples=150, suppress_health_check=list(HealthCheck))
    @given(mutated(lines))
    def check(changed: list[str]) -> None:
        if list(map(json.loads, changed)) == list(map(json.loads, lines)):
            return
        assert broken(changed, (kept["seq"], kept["hash"]))
        # Even hashes that were made anew do not lead to the head that was kept.
        if [json.loads(line).get("record") for line in changed] != [json.loads(line).get("record") for line in lines]:
            assert broken(rewritten(changed), (kept["seq"], kept["hash"]))

    check()


def test_without_a_head_only_the_end_can_be_missing(app_database: Database, recorded: Tenant) -> None:
    lines = exported(app_database, recorded)

    @settings(max_examples=100, suppress_health_check=list(HealthCheck))
    @given(mutated(lines))
    def check(changed: list[str]) -> None:
        if not broken(changed):
            texts = [json.loads(line)["record"] for line in changed[1:-1]]
            assert texts == [json.loads(line)["record"] for line in lines[1:-1]][: len(texts)]

    check()


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [],
        lambda lines: lines[1:],
        lambda lines: lines[:-1],
        lambda lines: [*lines, lines[-2]],
        lambda lines: ["{", *lines[1:]],
        lambda lines: ["[]", *lines[1:]],
        lambda lines: [*lines[:-1], "{}"],
        lambda lines: [*lines[:-1], '{"head":{}}'],
        lambda lines: [lines[0].replace('"tenant_id": ', '"tenant_id": 9'), *lines[1:]],
        lambda lines: [lines[0].replace('"first": 1', '"first": 2'), *lines[1:]],
    ],
)
def test_what_is_no_export_is_broken(
    app_database: Database, recorded: Tenant, change: Callable[[list[str]], list[str]]
) -> None:
    assert broken(change(exported(app_database, recorded)))
