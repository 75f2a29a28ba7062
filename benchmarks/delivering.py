"""Where the CPU of a message goes, from its bytes to its commit. docs/benchmarks.md, "The HL7 v2 gateway" """

from __future__ import annotations

import cProfile
import pstats
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from unittest import mock

import psycopg

from benchmarks import feeding
from benchmarks.accounting import descendants, nanoseconds
from benchmarks.instance import Instance
from fhir_server.crypto.hashing import Hasher
from fhir_server.interactions import write_many
from fhir_server.store import directory, hl7_feeds, hl7_messages, session
from fhir_server.store.hl7_messages import Incoming
from fhir_server.store.reading import now
from fhir_server.store.session import Connection, Database
from fhir_server.store.tenants import Tenant
from hl7_gateway import deliver
from hl7_gateway.delivery.apply import Application
from hl7_gateway.delivery.shelf import Shelf
from hl7_gateway.feed import Feed
from hl7_gateway.feeds import Feeds
from hl7_gateway.reading import Read, incoming, read
from hl7_gateway.server import settle_memory
from hl7_gateway.worker import Worker

_KEPT_TOGETHER: Final = 200


@dataclass(slots=True)
class Phases:
    """CPU nanoseconds of this thread and of PostgreSQL by phase; what a phase calls that is one itself is not in it.

    To read the times of other processes takes longer than many a phase: it is done where a phase asks PostgreSQL, and
    is counted as nobody's.
    """

    backends: list[int]
    own: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    postgres: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _open: list[list[int]] = field(default_factory=list)

    @contextmanager
    def phase(self, name: str, *, asks: bool = True) -> Iterator[None]:
        """What happens inside belongs to a phase; ``asks``: PostgreSQL too."""
        entered = time.thread_time_ns()
        inner = [0, 0]
        self._open.append(inner)
        before = nanoseconds(self.backends) if asks else 0
        began = time.thread_time_ns()
        try:
            yield
        finally:
            ended = time.thread_time_ns()
            spent = nanoseconds(self.backends) - before if asks else 0
            self._open.pop()
            self.own[name] += ended - began - inner[0]
            self.postgres[name] += spent - inner[1]
            if self._open:
                self._open[-1][0] += time.thread_time_ns() - entered
                self._open[-1][1] += spent

    def wrapped(self, name: str, what: Callable[..., Any], asks: bool) -> Callable[..., Any]:
        """A function whose calls are a phase."""

        def call(*arguments: Any, **named: Any) -> Any:
            with self.phase(name, asks=asks):
                return what(*arguments, **named)

        return call


_COMPUTED: Final = frozenset({"convert", "apply, validate, index"})
"""Phases in which nothing is asked of PostgreSQL."""

_PHASES: Final[tuple[tuple[str, Any, str], ...]] = (
    ("take", hl7_messages, "take"),
    ("take", hl7_messages, "lock_patients"),
    ("convert", Worker, "_prepare"),
    ("look up", deliver, "look_up"),
    ("look up", Shelf, "trace"),
    ("apply, validate, index", Application, "run"),
    ("write", write_many, "run"),
    ("settle, audit, commit", deliver, "_settling"),
    ("settle, audit, commit", session, "_end"),
)


@contextmanager
def _watched(phases: Phases) -> Iterator[None]:
    patches = [
        mock.patch.object(where, name, phases.wrapped(said, getattr(where, name), said not in _COMPUTED))
        for said, where, name in _PHASES
    ]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in patches:
            one.stop()


def _keep(database: Database, tenant: Tenant, hasher: Hasher, feed: Feed, raws: Sequence[bytes]) -> None:
    def keep(many: list[Incoming], connection: Connection) -> None:
        hl7_messages.keep(connection, tenant.id, many, now())

    for start in range(0, len(raws), _KEPT_TOGETHER):
        found = [read(feed, raw) for raw in raws[start : start + _KEPT_TOGETHER]]
        many = [incoming(one, hasher, b"AA") for one in found if isinstance(one, Read)]
        database.transaction(tenant.id, partial(keep, many))


def _feed(instance: Instance, database: Database, tenant: Tenant) -> tuple[Feeds, Feed]:
    with psycopg.connect(instance.postgres.owner_url) as owner:
        owner.execute("SELECT set_config('fhir.tenant', %s, true)", [str(tenant.id)])
        hl7_feeds.add(owner, tenant.id, "bench", {"zone": "America/New_York"}, 1)
    feeds = Feeds(database, 2575)
    feeds.refresh(now=True)
    (feed,) = (one for one in feeds.all if one.tenant_id == tenant.id)
    return feeds, feed


def _messages(number: int) -> list[bytes]:
    return [framed[1:-2] for framed in feeding.story(number, beds=400)]


def _drain(work: Worker, tenant: Tenant) -> int:
    done = 0
    while some := work.once(tenant.id):
        done += some
    return done


def measure(instance: Instance, slug: str, number: int, most: int, profile: str | None = None) -> dict[str, Any]:
    """What delivering messages takes, ``most`` in a transaction; as plain values, in microseconds for each message.

    With a ``profile`` it is written there, and nothing is measured.
    """
    tenant = instance.tenant(slug)
    database = Database(instance.postgres.app_url, 1, look_ups=True)
    database.open()
    try:
        hasher = Hasher(directory.hash_key(database))
        feeds, feed = _feed(instance, database, tenant)
        work = Worker(database, hasher, feeds, lambda slug: f"http://localhost/t/{slug}/fhir", most=most)
        told = _messages(number * 2)
        # The first half fills the hospital and what is cached.
        _keep(database, tenant, hasher, feed, told[:number])
        _drain(work, tenant)
        _keep(database, tenant, hasher, feed, told[number:])
        instance.settle()
        settle_memory()
        if profile:
            _profiled(work, tenant, profile)
            return {}
        phases = Phases(descendants(instance.postgres_pid))
        begun = time.perf_counter()
        with _watched(phases), phases.phase("rest"):
            done = _drain(work, tenant)
        seconds = time.perf_counter() - begun
    finally:
        database.close()
    return {
        "messages": done,
        "most": most,
        "per_second": done / seconds,
        "own_us": {name: spent / done / 1000 for name, spent in phases.own.items()},
        "postgres_us": {name: spent / done / 1000 for name, spent in phases.postgres.items()},
    }


def _profiled(work: Worker, tenant: Tenant, path: str) -> None:
    profiler = cProfile.Profile(time.process_time)
    profiler.enable()
    _drain(work, tenant)
    profiler.disable()
    profiler.dump_stats(path)
    pstats.Stats(path).sort_stats("tottime").print_stats(60)
