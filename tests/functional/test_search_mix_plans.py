"""Every kind of search that is measured finds its rows by the index that is meant for it, and reads few of them.

As the application's role under row level security, with PostgreSQL's settings as they are: what a clinic gets.
https://www.postgresql.org/docs/current/using-explain.html
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import parse_qsl

import psycopg
import pytest
from psycopg import pq

from benchmarks import filling
from benchmarks.paths import hasher_of
from benchmarks.search_mix import COMMON, MIX, Sample, searches
from fhir_server.access.policy import EVERYTHING
from fhir_server.access.principal import Principal
from fhir_server.interactions import search
from fhir_server.interactions.context import Context, Prefer, Tenant
from fhir_server.r4 import json
from fhir_server.search import roads
from fhir_server.store import tenants
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.store import Store
from tests.conftest import Server
from tests.functional.search_fixtures import BASE, opened

CLINICS = (400, 200)
"""Patients of each clinic, with 50 resources each; the first is searched. Enough for the planner to have a choice."""

VALUES = 4
"""How many different values each kind of search is asked with, common and rare."""

PATIENT, TOKEN, REFERENCE, STRING = ("resource_patient",), ("idx_token",), ("idx_reference",), ("idx_string",)
DATE, QUANTITY, COMPOSITE, KEY = ("idx_date",), ("idx_quantity",), ("idx_composite",), ("resource_key",)

INTENDED: dict[str, tuple[tuple[str, ...], ...]] = {
    "Observation?patient={patient}&_count=20": (PATIENT,),
    "Observation?patient={patient}&code={test}": (PATIENT,),
    "Observation?subject=Patient/{patient}&date=ge{year}&_sort=-date": (PATIENT,),
    "Encounter?patient={patient}&status=finished": (PATIENT,),
    "Condition?patient={patient}&_count=100": (PATIENT,),
    "Patient/{patient}/Observation?_count=20": (PATIENT + REFERENCE,),
    "Patient/{patient}/*?_count=20": (PATIENT + REFERENCE,),
    "Observation?code={test}&_summary=count": (TOKEN,),
    "Condition?code={diagnosis}&_summary=count": (TOKEN,),
    "Encounter?status={status}&_summary=count": (TOKEN,),
    "Patient?family={family}&_count=20": (STRING,),
    "Patient?name={given}&_count=100": (STRING,),
    "Patient?address-city={city}&_count=20": (STRING,),
    "Observation?date=ge{year}-03-01&date=lt{same_year}-05-01&_count=20": (DATE,),
    "Observation?date={year}-05-15&_count=100": (DATE,),
    "Observation?date=ge{year}&_count=20": (DATE,),
    "Patient?birthdate=lt{born}-01-01&_count=20": (DATE,),
    "Observation?code={test}&_count=20": (TOKEN,),
    "Observation?code={test}&status=amended&_count=100": (TOKEN,),
    "Observation?code={test},{test}&_count=20": (TOKEN,),
    "Patient?identifier={identifier}": (TOKEN,),
    "Observation?performer=Practitioner/{staff}&_count=100": (REFERENCE,),
    "Encounter?subject=Patient/{patient}": (PATIENT,),
    "Observation?value-quantity=gt{high}&_count=20": (QUANTITY,),
    "Observation?code={test}&value-quantity=lt{low}&_count=20": (TOKEN, QUANTITY),
    "Observation?value-quantity=gt{high}&_count=100": (QUANTITY,),
    "Observation?code-value-quantity={test}$gt{low}&_count=20": (COMPOSITE,),
    "Observation?subject:Patient.family={family}&_count=20": (STRING, REFERENCE + PATIENT),
    "Observation?patient.gender={gender}&_count=20": (TOKEN, REFERENCE + PATIENT),
    "Observation?code={test}&subject:Patient.address-city={city}&_count=20": (TOKEN, STRING, REFERENCE + PATIENT),
    "Claim?patient.birthdate=ge{born}&_count=20": (DATE, REFERENCE + PATIENT),
    "Observation?encounter:Encounter.subject:Patient.family={family}&_count=20": (STRING, REFERENCE),
    "Patient?_has:Observation:patient:code={test}&_count=20": (TOKEN, REFERENCE),
    "Patient?_has:Condition:patient:code={diagnosis}&gender=female&_count=20": (TOKEN, REFERENCE),
    "Patient?family={family}&_has:Observation:patient:code={test}&_count=20": (STRING, TOKEN, REFERENCE),
    "Observation?code={test}&_include=Observation:patient&_count=20": (TOKEN, REFERENCE, KEY),
    "MedicationRequest?patient={patient}&_include=MedicationRequest:requester": (PATIENT, REFERENCE, KEY),
    "Patient?family={family}&_revinclude=Condition:patient&_count=20": (STRING, REFERENCE),
    "?_type=Observation,Encounter&_lastUpdated=gt2020-09-13&_count=20": (("resource_updated", "resource_listed"),),
    "Observation?_sort=-date&_count=100": (DATE,),
    f"Observation?code={COMMON}&_sort=-date&_count=100": (DATE, TOKEN),
    "Patient?_sort=family&_count=20": (STRING,),
    "Patient?_sort=-birthdate&gender=female&_count=20": (DATE, TOKEN),
    "Observation?_sort=value-quantity&_count=100": (QUANTITY,),
    "Observation?_sort=-_lastUpdated&_count=100": (("resource_updated",),),
    f"Observation?code={COMMON}&_count=100": (TOKEN,),
}
"""Of each search the indexes that are to be used, one of each group, by the beginning of their names."""

MOST_ROWS = 8_000
"""Rows that a page may have PostgreSQL look at, in all of its steps together; the clinic has 20,000 resources, and an
Observation five quantities."""

MORE_ROWS = {
    "Observation?code={test}&value-quantity=lt{low}&_count=20": 20_000,
    "Patient?_has:Observation:patient:code={test}&_count=20": 16_000,
    "Patient?family={family}&_has:Observation:patient:code={test}&_count=20": 16_000,
}
"""A code and a value that it never has: no index holds both, so that all of the code are looked at; the composite
code-value-quantity, which clients may ask for instead, has its own index. Of a reverse chain up to 2,000 resources are
followed, with all references that each has."""


class Recording(Store):
    """A store that notes the statements of searches."""

    __slots__ = ("asked",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.asked: list[tuple[str, list[object]]] = []

    def search(self, sql: str, values: Sequence[object]) -> pq.abc.PGresult:
        self.asked.append((sql, list(values)))
        return super().search(sql, values)


@dataclass(slots=True)
class Plan:
    """What the plans of a search's statements consist of: nodes, the condition on each index, rows looked at."""

    nodes: list[dict[str, Any]] = field(default_factory=list)

    def add(self, node: dict[str, Any]) -> None:
        """A node with all below it, those apart that were never executed."""
        if node["Actual Loops"]:
            self.nodes.append(node)
            for part in node.get("Plans", []):
                self.add(part)

    @property
    def read_whole(self) -> list[str]:
        """Tables of resources that are read from one end to the other."""
        known = ("resource", "idx_")
        scans = [node["Relation Name"] for node in self.nodes if node["Node Type"] == "Seq Scan"]
        return [name for name in scans if name.startswith(known) and name != "resource_type"]

    @property
    def indexes(self) -> dict[str, str]:
        """The indexes used, each with its condition."""
        return {node["Index Name"]: node.get("Index Cond", "") for node in self.nodes if "Index Name" in node}

    @property
    def rows(self) -> int:
        """Rows that came out of tables and indexes or were thrown away there."""
        scans = [node for node in self.nodes if "Scan" in node["Node Type"] and "CTE" not in node["Node Type"]]
        found = (
            (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
            for node in scans
            if "Relation Name" in node or "Index Name" in node
        )
        return round(sum(found))


@dataclass(frozen=True, slots=True)
class World:
    """A loaded database, as the application's role sees one clinic of it."""

    store: Recording
    paths: dict[tuple[str, str], tuple[str, ...]]

    def page(self, path: str) -> dict[str, Any]:
        """One page of a search, whose statements the store then holds."""
        principal = Principal("clinic", "client", "client", ())
        ctx = Context(Tenant(self.store.tenant_id, "clinic"), principal, EVERYTHING, self.store, BASE, Prefer())
        self.store.asked.clear()
        where, _, query = path.partition("?")
        pairs, steps = parse_qsl(query), where.split("/")
        if len(steps) == 3:
            response = search.run_compartment(ctx, *steps, pairs)
        elif where:
            response = search.run(ctx, where, pairs)
        else:
            response = search.run_system(ctx, pairs)
        bundle: dict[str, Any] = json.parse(response.body or b"")
        return bundle

    def later(self, path: str, pages: int) -> str:
        """The path of the page so many ``next`` links on."""
        for _ in range(pages):
            (url,) = [link["url"] for link in self.page(path)["link"] if link["relation"] == "next"]
            path = url.removeprefix(f"{BASE}/")
        return path

    def plan(self, path: str) -> Plan:
        """The plans of the statements that a search runs, executed."""
        self.page(path)
        found = Plan()
        for sql, values in list(self.store.asked):
            result = super(Recording, self.store).search(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", values)
            found.add(json.parse(result.get_value(0, 0) or b"")[0]["Plan"])
        return found


@pytest.fixture(scope="module")
def world(postgres_server: Server, template_database: str) -> Iterator[World]:
    """A database of its own: it is loaded without indexes, which others would miss."""
    name = f"fhir_mix_{os.getpid()}"
    urls: DatabaseUrls = postgres_server.create_database(name, template_database)
    assert urls.owner is not None
    with psycopg.connect(urls.owner, autocommit=True) as connection:
        clinics = [tenants.create(connection, f"clinic-{number}").id for number in range(len(CLINICS))]
        filling.fill(urls.owner, list(zip(clinics, CLINICS, strict=True)), lambda line: None, workers=1)
        query = (
            "SELECT id, body->'identifier'->0->>'value' FROM resource WHERE tenant_id = %s AND patient = key LIMIT 9"
        )
        rows = connection.execute(query, [clinics[0]]).fetchall()
    sample = Sample([row[0] for row in rows], [row[1] for row in rows])
    paths = {(one.title, one.group): one.paths for one in searches(sample, Random(11), VALUES, 1)}
    with opened(urls) as database:
        yield World(Recording(database, hasher_of(urls.owner), clinics[0]), paths)
    postgres_server.drop_database(name)


def test_every_search_of_the_mix_has_its_indexes() -> None:
    titles = [path for _, path, _ in MIX]
    assert set(titles) <= set(INTENDED)
    assert {one.title for one in searches(Sample(["p"], ["i"]), Random(1), 1, 1)} == set(INTENDED)


@pytest.mark.parametrize("title", INTENDED)
def test_the_intended_index_finds_the_rows_and_few_are_read(world: World, title: str) -> None:
    (paths,) = {paths for (name, group), paths in world.paths.items() if name == title and group != "deep page"}
    used: set[str] = set()
    for path in paths:
        plan = world.plan(path)
        assert plan.read_whole == [], path
        assert plan.rows <= MORE_ROWS.get(title, MOST_ROWS), (path, plan.rows)
        for name, condition in plan.indexes.items():
            assert "(tenant_id = " in condition or not name.startswith(("resource_", "idx_")), (path, name, condition)
        used |= set(plan.indexes)
    for group in INTENDED[title]:
        assert any(name.startswith(group) for name in used), (group, used)


@pytest.mark.parametrize("title", [title for title in INTENDED if "{" not in title and not title.startswith("?")])
def test_a_later_page_of_a_sort_reads_no_more_than_the_first(world: World, title: str) -> None:
    first, later = world.plan(title), world.plan(world.later(title, 5))
    assert later.rows <= 1.5 * first.rows + 20
    assert later.read_whole == []


def test_some_hundred_seeds_are_hashed_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roads, "MOST_SEEDS", 10)
    plan = world.plan("Observation?patient.gender=female&_count=20")
    assert any("hashed SubPlan" in str(node.get("Filter")) for node in plan.nodes), plan.indexes
    assert plan.rows < 2_000
