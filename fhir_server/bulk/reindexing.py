"""Runs that make the index of a tenant's resources what it should be, in short transactions that hold nobody up.
docs/search-parameters.md"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from fhir_server.bulk import index_check
from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import FhirError, Unavailable
from fhir_server.r4.own_references import relative_to
from fhir_server.search.index import extract
from fhir_server.search.paths import Computed, paths
from fhir_server.search.registries import registry_of
from fhir_server.store import directory, reindex_runs, reindexing, search_parameters, word_rows
from fhir_server.store.index_rows import IndexRows
from fhir_server.store.reindex_runs import Run
from fhir_server.store.reindexing import Row
from fhir_server.store.session import Database
from fhir_server.store.store import Store

log = logging.getLogger(__name__)

BATCH = 100
"""Resources of one transaction: a writer that wants one of them waits some 50 ms at most."""

SLICE_SECONDS = 20.0
"""How long a job goes on before it makes room for others and leaves the rest to the next."""

PAUSE_SECONDS = 0.2


class _Refused(Exception):
    """The run cannot be finished; the reason is a sentence for people."""


@dataclass(frozen=True, slots=True)
class Reindexing:
    """Works on the runs of every tenant. ``public_url`` is the server's own address, without a path.

    ``full_text`` as in Store.
    """

    database: Database
    hasher: Hasher
    public_url: str
    full_text: bool = True

    def go_on(self, tenant_id: int, run_id: str, should_stop: Callable[[], bool]) -> None:
        """Go on with a run for some seconds, and leave the rest to another job. Raises Unavailable: try again later."""
        store = Store(self.database, self.hasher, tenant_id, full_text=self.full_text)
        run = store.within(lambda c: reindex_runs.find(c, tenant_id, run_id))
        if run is None or run.state not in reindex_runs.UNFINISHED:
            return
        try:
            if not _Slice(self, store, run, should_stop).work():
                store.within(lambda c: reindex_runs.defer(c, tenant_id, run_id))
        except Unavailable:
            raise
        except _Refused as error:
            _end(store, run_id, str(error))
        except FhirError as error:
            _end(store, run_id, error.issues[0].diagnostics)
        except psycopg.Error as error:
            log.error("reindexing failed", extra={"sqlstate": error.sqlstate})
            _end(store, run_id, f"PostgreSQL cannot store an index row (SQLSTATE {error.sqlstate}).")
        except Exception as error:
            # Going on would only fail again: whoever asked for it is to hear of it.
            log.error("reindexing failed", exc_info=error)
            _end(store, run_id, f"Unexpected {type(error).__name__}: this is a defect, please report it.")

    def relative(self, store: Store) -> Callable[[dict[str, Any]], dict[str, Any]]:
        """Reads references to the tenant's own base, under either of its addresses, as relative ones."""
        slug = store.within(lambda c: reindex_runs.slug(c, store.tenant_id))
        return relative_to_all(addresses(f"{self.public_url}/t/{slug}/fhir", slug))


def addresses(base_url: str, slug: str) -> tuple[str, str]:
    """Both base URLs of a tenant, from one of them: by path (/t/riverside/fhir) and by subdomain."""
    scheme, _, rest = base_url.partition("://")
    host = rest.removesuffix(f"/t/{slug}/fhir").removesuffix("/fhir").removeprefix(f"{slug}.")
    return f"{scheme}://{host}/t/{slug}/fhir", f"{scheme}://{slug}.{host}/fhir"


def relative_to_all(bases: Sequence[str]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A function that reads references below any of the base URLs as relative ones."""

    def relative(resource: dict[str, Any]) -> dict[str, Any]:
        for base in bases:
            resource = relative_to(base, resource)
        return resource

    return relative


def reindex_one(store: Store, row: Row, relative: Callable[[dict[str, Any]], dict[str, Any]]) -> str:
    """Make the index rows of one resource anew, waiting for whoever writes it: see store/reindexing.py."""
    rows = extract(relative(row.resource), store.hasher, registry_of(store), full_text=store.full_text)
    return store.within(lambda c: reindexing.reindex(c, store.tenant_id, store.hasher, row, rows))


def _end(store: Store, run_id: str, error: str) -> None:
    def work(connection: psycopg.Connection) -> None:
        after = "failed" if error else "finished"
        moved = any(
            reindex_runs.move(connection, store.tenant_id, run_id, before, after, error)
            for before in reindex_runs.UNFINISHED
        )
        if moved:
            search_parameters.settle(connection, store.tenant_id, run_id, error)

    store.within(work)


class _Slice:
    """What one job does of a run."""

    def __init__(self, parent: Reindexing, store: Store, run: Run, should_stop: Callable[[], bool]) -> None:
        self.store = store
        self.tenant_id = store.tenant_id
        self.run = run
        self.should_stop = should_stop
        self.relative = parent.relative(store)
        self.until = time.monotonic() + SLICE_SECONDS
        self.told = 0.0
        self.watched = self.expressions()
        self.phrases: set[int] = set()

    def work(self) -> bool:
        """Whether nothing is left of the run."""
        if self.run.state == "waiting" and not self.wait():
            return False
        if not self.build():
            return False
        self.check()
        return True

    def expressions(self) -> frozenset[str]:
        """The computed expressions of the parameters that the run is for: they are to hold for every resource."""
        entries = self.store.within(lambda c: search_parameters.of_run(c, self.tenant_id, self.run.id))
        return frozenset(
            step.expression
            for entry in entries
            if entry.state == "building"
            for resource_type in entry.definition.types
            for path in paths(entry.definition.expression, resource_type)
            for step in path.steps
            if isinstance(step, Computed)
        )

    def over(self) -> bool:
        return self.should_stop() or time.monotonic() > self.until

    def wait(self) -> bool:
        """Until every process writes the new rows, and every transaction that may not have has ended."""
        time.sleep(max(0.0, (self.run.ready - self.run.now).total_seconds()))
        if self.store.full_text:
            self.store.within(lambda c: word_rows.begin_filling(c, self.tenant_id, self.run.types, self.run.id))
        self.store.within(lambda c: reindex_runs.set_horizon(c, self.tenant_id, self.run.id))
        found = self.store.within(lambda c: reindex_runs.find(c, self.tenant_id, self.run.id))
        horizon = found.horizon if found else None
        if horizon is None:
            return False
        while not self.store.within(lambda c: reindex_runs.horizon_passed(c, horizon)):
            if self.over():
                return False
            time.sleep(PAUSE_SECONDS)
            self.store.within(lambda c: reindex_runs.live(c, self.tenant_id, self.run.id))
        self.store.within(lambda c: reindex_runs.begin(c, self.tenant_id, self.run))
        self.tell()
        return True

    def build(self) -> bool:
        """Whether the last resource has been reached; one batch after the other."""
        if self.run.state == "checking":
            return True
        types, at_type, at_rid = self.run.types, self.run.at_type, self.run.at_rid
        while at_type < len(types):
            if self.over():
                return False
            rows = self.read(types[at_type], at_rid)
            if rows:
                self.write(rows)
                at_rid = rows[-1].rid
            else:
                at_type, at_rid = at_type + 1, 0
            if not self.advance(at_type, at_rid, len(rows)):
                return False
            self.tell()
        return self.store.within(lambda c: reindex_runs.move(c, self.tenant_id, self.run.id, "building", "checking"))

    def read(self, resource_type: str, after: int) -> list[Row]:
        return self.store.within(lambda c: reindexing.batch(c, self.tenant_id, resource_type, after, BATCH))

    def advance(self, at_type: int, at_rid: int, more: int) -> bool:
        """Note the place; False where the run has been superseded meanwhile."""
        place = at_type, at_rid
        return self.store.within(lambda c: reindex_runs.advance(c, self.tenant_id, self.run.id, place, more))

    def write(self, rows: list[Row]) -> None:
        registry = registry_of(self.store)
        prepared: list[tuple[Row, IndexRows]] = []
        for row in rows:
            index = extract(self.relative(row.resource), self.store.hasher, registry, full_text=self.store.full_text)
            if not self.watched.isdisjoint(index.unevaluated):
                raise _Refused(f"The expression cannot be evaluated on {row.resource_type}/{row.id}.")
            prepared.append((row, index))

        def work(connection: psycopg.Connection) -> list[str]:
            store, known = self.store, self.phrases
            return [
                reindexing.reindex(connection, store.tenant_id, store.hasher, *pair, wait=False, known=known)
                for pair in prepared
            ]

        for (row, index), status in zip(prepared, self.store.within(work), strict=True):
            if status == "reindexed" and index.words is not None:
                self.phrases.update(index.words.phrases)
            elif status == "locked":
                # By itself: nobody is to wait for us while we wait.
                reindex_one(self.store, row, self.relative)

    def tell(self) -> None:
        """Let every process hear how far it is, from time to time."""
        now = time.monotonic()
        if self.run.reason == "parameter" and now - self.told > reindex_runs.FRESH_SECONDS:
            self.told = now
            self.store.within(lambda c: search_parameters.changed(c, self.tenant_id))

    def check(self) -> None:
        """Look at some resources; then the parameter is active, or failed."""
        entries = self.store.within(lambda c: search_parameters.of_run(c, self.tenant_id, self.run.id))
        problems = [
            problem
            for entry in entries
            if entry.state == "building" and (problem := index_check.problem(self.store, entry, self.relative))
        ]
        if not problems:
            self.store.within(lambda c: word_rows.finish_filling(c, self.tenant_id, self.run.id))
        _end(self.store, self.run.id, " ".join(problems))


STATEMENT_TIMEOUT_MS = 600_000
"""Nobody waits for an answer, and counting millions of resources may take its time."""

LEFT_BEHIND_SECONDS = 120


@contextmanager
def opened(app_url: str, public_url: str, *, full_text: bool = True) -> Iterator[Reindexing]:
    """Work on runs over connections of its own. Raises Unavailable where the database cannot be reached."""
    database = Database(app_url, 2, STATEMENT_TIMEOUT_MS)
    database.open()
    try:
        yield Reindexing(database, Hasher(directory.hash_key(database)), public_url, full_text)
    finally:
        database.close()


def sweep(database: Database) -> int:
    """Leave to new jobs the runs that are left behind: their job ended without them. Answers how many there were."""
    found = 0
    for tenant_id in database.run(reindex_runs.tenants_with_work, read_only=True):

        def work(connection: psycopg.Connection, tenant_id: int = tenant_id) -> int:
            runs = reindex_runs.left_behind(connection, tenant_id, LEFT_BEHIND_SECONDS)
            for run in runs:
                reindex_runs.defer(connection, tenant_id, run)
            return len(runs)

        found += database.transaction(tenant_id, work)
    return found
