"""Each search through HTTP in one worker, beside its bare SQL, in the same run. docs/benchmarks.md, "Searches"

What the server says of itself in Server-Timing (https://www.w3.org/TR/server-timing/) is compared: it holds all of a
request but the socket, and no client's time. Beside it stands the CPU time of the web worker and of PostgreSQL's
sessions, which others on the machine can hardly touch.
"""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import pq

from benchmarks import filling, instance, machine, seeding
from benchmarks.accounting import descendants, nanoseconds
from benchmarks.figures import median, percentile
from benchmarks.instance import Instance, Served
from benchmarks.population import RECORD_SIZE
from benchmarks.recording import Recorder, recorder
from benchmarks.search_mix import PAGE, Sample, Search, searches
from benchmarks.wire import FHIR_JSON, Target
from fhir_server.r4 import json

TENANTS = {"big": 0.6, "north": 0.1, "south": 0.1, "east": 0.1, "west": 0.1}
"""Each tenant's share of the patients; the first is the one that is searched."""

GROWTH = 1.5
"""Median milliseconds of larger data allowed, as a multiple of those of the smaller."""

TIMEOUT_SECONDS = 60
_DURATION = re.compile(r";dur=([0-9.]+)")


@dataclass(slots=True)
class Timed:
    """One search with its percentiles in milliseconds, one of each list for each round."""

    group: str
    title: str
    allowed: float | None
    server: list[dict[str, float]] = field(default_factory=list)
    cpu: list[dict[str, float]] = field(default_factory=list)
    sql: list[dict[str, float]] = field(default_factory=list)
    entries: float = 0.0
    refused: str = ""

    def best(self, name: str = "p50", side: str = "server") -> float:
        """The least of the rounds' percentiles: what it costs when no other process has taken the cores."""
        return min(one[name] for one in getattr(self, side))

    @property
    def ratio(self) -> float | None:
        """The server's median as a multiple of that of the bare SQL; None where no SQL is run."""
        pairs = [(mine["p50"], bare["p50"]) for mine, bare in zip(self.server, self.sql, strict=False) if bare["p50"]]
        return median([mine / bare for mine, bare in pairs]) if pairs else None


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A search with the paths to ask for and the statements that each becomes."""

    timed: Timed
    paths: Sequence[str]
    statements: Sequence[list[str]]


@dataclass(frozen=True, slots=True)
class Effort:
    """``rounds`` of ``requests`` for each search, with ``different`` values; deep pages are ``pages`` links on."""

    rounds: int = 3
    requests: int = 30
    different: int = 30
    pages: int = 50


def run(sizes: Sequence[int], effort: Effort, parent: Path | None, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure all searches at each number of resources, one instance after the other; as plain values."""
    stages = [_stage(size, effort, parent, say) for size in sizes]
    return {"growth": GROWTH, "page": PAGE, "effort": asdict(effort), "stages": stages}


def _stage(size: int, effort: Effort, parent: Path | None, say: Callable[[str], None]) -> dict[str, Any]:
    with instance.running_instance(parent) as one:
        begun = time.monotonic()
        patients = max(filling.TOGETHER, round(size / RECORD_SIZE))
        shares = [(one.tenant(slug).id, round(patients * share)) for slug, share in TENANTS.items()]
        resources = filling.fill(one.postgres.owner_url, shares, say)
        one.settle()
        seconds = time.monotonic() - begun
        with instance.web(one) as served, recorder(one.environment(served.port)) as record:
            target = one.target(served.port, next(iter(TENANTS)))
            found = measure(one, served, target, record, effort, say)
        return {
            "resources": resources,
            "load_seconds": round(seconds, 1),
            "bytes": one.sizes(),
            "machine": machine.describe(one.postgres.owner_url),
            "searches": [asdict(timed) for timed in found],
        }


def measure(
    one: Instance, served: Served, target: Target, record: Recorder, effort: Effort, say: Callable[[str], None]
) -> list[Timed]:
    """Every search of the mix in rounds; within a round, each stands beside its bare SQL."""
    tenant_id = one.tenant(next(iter(TENANTS))).id
    rng = Random(seeding.SEED)
    mix = searches(_sample(one.postgres.owner_url, tenant_id), rng, effort.different, effort.pages)
    client = http.client.HTTPConnection(target.host, target.port, timeout=TIMEOUT_SECONDS)
    with psycopg.connect(one.postgres.app_url, autocommit=True) as connection:
        prepared = [_prepare(search, client, target, record) for search in mix]
        for turn in range(effort.rounds):
            for search in prepared:
                if not search.timed.refused:
                    pids = [*descendants(served.pid), *descendants(one.postgres_pid)[1:]]
                    _round(search, client, target, connection, effort.requests, pids)
            say(f"searches: round {turn + 1} of {effort.rounds}")
    client.close()
    return [search.timed for search in prepared]


def _sample(owner_url: str, tenant_id: int) -> Sample:
    query = (
        "SELECT r.id, r.body->'identifier'->0->>'value' FROM resource r JOIN resource_type t ON t.id = r.type_id "
        "WHERE r.tenant_id = %s AND t.name = 'Patient' ORDER BY r.key LIMIT 500"
    )
    with psycopg.connect(owner_url) as connection:
        rows = connection.execute(query, [tenant_id]).fetchall()
    return Sample([row[0] for row in rows], [row[1] for row in rows])


def _prepare(search: Search, client: http.client.HTTPConnection, target: Target, record: Recorder) -> _Prepared:
    """Ask for everything once, which warms the caches and shows what is refused."""
    timed = Timed(search.group, search.title, search.allowed)
    try:
        paths = search.paths
        if search.pages:
            paths = tuple(_later(path, search.pages, client, target) for path in paths)
        found = [len(json.parse(_get(client, target, path)[1]).get("entry", ())) for path in paths]
        timed.entries = sum(found) / len(found)
        return _Prepared(timed, paths, [record.of(target, path) for path in paths])
    except ValueError as error:
        timed.refused = " ".join(str(error).split())[:300]
        return _Prepared(timed, (), [])


def _later(path: str, pages: int, client: http.client.HTTPConnection, target: Target) -> str:
    """The path of the page so many ``next`` links on, or of the last one before the end."""
    for _ in range(pages):
        links = json.parse(_get(client, target, path)[1])["link"]
        url = next((link["url"] for link in links if link["relation"] == "next"), None)
        if url is None:
            break
        parts = urlsplit(url)
        path = f"{parts.path}?{parts.query}".removeprefix(target.path).removeprefix("/")
    return path


def _get(client: http.client.HTTPConnection, target: Target, path: str) -> tuple[float, bytes]:
    """Milliseconds that the server took, and the body. Raises ValueError for a refusal."""
    url = f"{target.path}{'' if path.startswith('?') or not path else '/'}{path}"
    client.request("GET", url, headers={**dict(target.headers), "Accept": FHIR_JSON})
    answer = client.getresponse()
    body = answer.read()
    if answer.status >= 400:
        raise ValueError(f"{path}: {answer.status} {body[:300].decode(errors='replace')}")
    return sum(map(float, _DURATION.findall(answer.headers["Server-Timing"]))), body


def _round(
    search: _Prepared,
    client: http.client.HTTPConnection,
    target: Target,
    connection: psycopg.Connection,
    requests: int,
    pids: Sequence[int],
) -> None:
    """Ask so often; ``pids`` are the server's processes. Parallel workers that PostgreSQL starts are not among them."""
    server, cpu = [], []
    for n in range(requests):
        path = search.paths[n % len(search.paths)]
        before = nanoseconds(pids)
        server.append(_get(client, target, path)[0])
        cpu.append((nanoseconds(pids) - before) / 1e6)
    sql = [_bare(connection, search.statements[n % len(search.paths)]) for n in range(requests)]
    for where, found in ((search.timed.server, server), (search.timed.cpu, cpu), (search.timed.sql, sql)):
        where.append(_percentiles(found))


def _bare(connection: psycopg.Connection, statements: Sequence[str]) -> float:
    """Milliseconds that the statements take one after the other, the answer received."""
    begun = time.perf_counter()
    for statement in statements:
        result = connection.pgconn.exec_(statement.encode())
        if result.status != pq.ExecStatus.TUPLES_OK:
            raise ValueError(result.error_message.decode(errors="replace"))
    return (time.perf_counter() - begun) * 1000


def _percentiles(milliseconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(milliseconds)
    return {"p50": round(percentile(ordered, 50), 3), "p95": round(percentile(ordered, 95), 3)}
