"""Hundreds of thousands of resources in a minute: COPY of cloned records, then the indexes, then statistics.

https://www.postgresql.org/docs/current/populate.html
"""

from __future__ import annotations

import gc
import multiprocessing
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random

import psycopg
from psycopg import sql

from benchmarks import population
from benchmarks.cloning import Template
from benchmarks.copying import COLUMNS, Phrases, lines, phrase_lines, phrases, statement
from benchmarks.paths import hasher_of
from benchmarks.population import RECORD_SIZE
from benchmarks.prepared import prepare
from fhir_server.crypto.hashing import Hasher
from fhir_server.r4 import json

TOGETHER = 100
"""Records written together: a patient's resources come as far apart as those of so many others who come and go."""

MOST_DAYS = 180
"""How far a clone's dates are moved at most."""

LOAD_SECONDS = 7200
FIRST_UPDATE = 1_600_000_000_000_000
UPDATE_STEP = 10_000_000
"""When the first resource was written, microseconds since 1970, and how much later each next one."""


@dataclass(frozen=True, slots=True)
class _Job:
    """So many batches for one tenant, from ``first`` as the lowest rid."""

    owner_url: str
    tenant: int
    first: int
    batches: int
    bases: int
    seed: int


def fill(owner_url: str, shares: Sequence[tuple[int, int]], say: Callable[[str], None], workers: int = 2) -> int:
    """Load records into tenants, ``shares`` of (tenant id, patients each), and index them. Returns the resources.

    With one worker it is done in this process. Nothing else may use the tables meanwhile: they have no indexes.
    The owner must be one to whom row level security does not apply, as COPY requires.
    """
    begun = time.monotonic()
    with psycopg.connect(owner_url, autocommit=True) as connection, _without_indexes(connection, say):
        hasher, total = hasher_of(owner_url), 0
        known: Phrases = {}
        for tenant, _ in shares:
            number, found = _staff(connection, hasher, tenant)
            total += number
            known |= found
        for number, found in _pool(owner_url, _first_free(connection), shares, workers):
            total += number
            known |= found
            say(f"{total:,} resources, {time.monotonic() - begun:.0f} s")
        for tenant, _ in shares:
            _copy(connection, {"idx_phrase": [phrase_lines(known, tenant)]})
        connection.execute("SELECT setval('resource_rid', (SELECT max(rid) FROM resource))")
    return total


def _pool(owner_url: str, first: int, shares: Sequence[tuple[int, int]], workers: int) -> Iterator[tuple[int, Phrases]]:
    """The jobs of all tenants mixed, so that their rows lie mixed in the tables as well."""
    wanted = [tenant for tenant, patients in shares for _ in range(-(-patients // TOGETHER))]
    Random(1).shuffle(wanted)
    parts = max(workers, min(40, len(wanted) // 10))
    bases = min(400, max(TOGETHER, len(wanted) * TOGETHER // (4 * workers)))
    jobs: list[_Job] = []
    for number in range(parts):
        part = wanted[number::parts]
        for tenant in dict.fromkeys(part):
            jobs.append(_Job(owner_url, tenant, first, part.count(tenant), bases, len(jobs)))
            first += part.count(tenant) * TOGETHER * RECORD_SIZE
    if workers == 1:
        yield from map(_load, jobs)
        return
    with multiprocessing.get_context("spawn").Pool(workers, gc.disable) as pool:
        results = pool.imap_unordered(_load, jobs)
        for _ in jobs:
            yield results.next(timeout=LOAD_SECONDS)


def _first_free(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT nextval('resource_rid')").fetchone()
    assert row is not None
    return int(row[0])


_templates: dict[str, list[Template]] = {}
"""The base set of a database, which each process makes once: hashes depend on the database's key."""


def _load(job: _Job) -> tuple[int, Phrases]:
    rng, hasher = Random(job.seed), hasher_of(job.owner_url)
    if job.owner_url not in _templates:
        made = Random(job.seed)
        _templates[job.owner_url] = [Template(population.record(made), hasher) for _ in range(job.bases)]
    rid, size = job.first, TOGETHER * RECORD_SIZE
    with psycopg.connect(job.owner_url) as connection:
        for _ in range(job.batches):
            _copy(connection, _batch(rng, _templates[job.owner_url], job.tenant, rid))
            connection.commit()
            rid += size
    found = {phrase: words for one in _templates[job.owner_url] for phrase, words in one.phrases.items()}
    return job.batches * size, found


def _batch(rng: Random, templates: Sequence[Template], tenant: int, rid: int) -> dict[str, list[bytes]]:
    """The lines of many records, one resource of each after the other."""
    chosen = rng.choices(templates, k=TOGETHER)
    values = [one.values(one.changes(rng, tenant, rng.randint(-MOST_DAYS, MOST_DAYS))) for one in chosen]
    found: dict[str, list[bytes]] = defaultdict(list)
    for number in range(RECORD_SIZE):
        for template, of_clone in zip(chosen, values, strict=True):
            for table, text in template.write(number, of_clone, rid, FIRST_UPDATE + rid * UPDATE_STEP):
                found[table].append(text)
            rid += 1
    return found


def _copy(connection: psycopg.Connection, found: dict[str, list[bytes]]) -> None:
    for table, texts in found.items():
        with connection.cursor().copy(statement(table)) as copy:
            for start in range(0, len(texts), 200):
                copy.write(b"".join(texts[start : start + 200]))


def _staff(connection: psycopg.Connection, hasher: Hasher, tenant: int) -> tuple[int, Phrases]:
    """The practitioners and organizations that the records of a tenant refer to."""
    made = [prepare(json.parse(json.dumps(one)), hasher, one["id"]) for one in population.staff(Random(tenant))]
    found: dict[str, list[bytes]] = defaultdict(list)
    for one in made:
        rid = _first_free(connection)
        for table, text in lines(one, tenant, rid, FIRST_UPDATE + rid * UPDATE_STEP):
            found[table].append(text)
    _copy(connection, found)
    return len(made), phrases(one.rows for one in made)


@contextmanager
def _without_indexes(connection: psycopg.Connection, say: Callable[[str], None]) -> Iterator[None]:
    """Drop the indexes of all tables that are written, make them anew behind the block and collect statistics."""
    constraints = connection.execute(
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE conrelid = ANY(%s::regclass[]) AND contype IN ('p', 'u') ORDER BY contype",
        [list(COLUMNS)],
    ).fetchall()
    for table, name, _ in constraints:
        connection.execute(
            sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(sql.Identifier(table), sql.Identifier(name))
        )
    indexes = connection.execute(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index "
        "WHERE indrelid = ANY(%s::regclass[])",
        [list(COLUMNS)],
    ).fetchall()
    for name, _ in indexes:
        connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
    yield
    connection.execute("SET maintenance_work_mem = '1GB'")
    for table, name, definition in constraints:
        begun = time.monotonic()
        connection.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}".encode())
        say(f"{name}: {time.monotonic() - begun:.0f} s")
    for name, definition in indexes:
        begun = time.monotonic()
        connection.execute(definition.encode())
        say(f"{name}: {time.monotonic() - begun:.0f} s")
    for table in COLUMNS:
        connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(sql.Identifier(table)))
