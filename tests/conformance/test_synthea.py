"""Synthea's bundles load without a failed entry and come back equal. https://github.com/synthetichealth/synthea"""

from __future__ import annotations

import bz2
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fhir_server.access.policy import EVERYTHING, NOTHING
from fhir_server.access.principal import Principal
from fhir_server.access.scopes import parse
from fhir_server.crypto.hashing import Hasher
from fhir_server.interactions import bundle
from fhir_server.interactions.context import Context
from fhir_server.interactions.context import Tenant as Clinic
from fhir_server.r4 import json
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.session import Database
from fhir_server.store.store import Store
from fhir_server.store.tenants import Tenant

Json = dict[str, Any]
exact = msgspec.json.Encoder(order="deterministic", decimal_format="number").encode
"""JSON text by which 1.0 and 1.00 differ, and the order of properties does not."""

BASE = "http://localhost/t/synthea/fhir"


@pytest.fixture
def store(database: DatabaseUrls, tenant: Tenant) -> Iterator[Store]:
    """The store of a fresh tenant."""
    pool = Database(database.app, 2)
    pool.open()
    yield Store(pool, Hasher(b"a key for the tests of bundles"), tenant.id)
    pool.close()


def sources(shared_data: Path, every: int) -> list[Path]:
    """The files; hospitals and practitioners first, which the others refer to, and then each of so many patients."""
    found = sorted((shared_data / "synthea").glob("*.json.bz2"))
    assert len(found) > 10
    directories = [path for path in found if "Information" in path.name]
    return directories + [path for path in found if path not in directories][::every]


def context(store: Store) -> Context:
    principal = Principal("synthea", "tester", "tests", parse("system/*.cruds"))
    return Context(Clinic(store.tenant_id, "synthea"), principal, NOTHING, store, BASE)


def renamed(value: Any, names: dict[str, str]) -> Any:
    """What the server makes of a resource: each reference to an entry, by fullUrl or by query, is its name here.

    An oracle of its own: Synthea refers to entries in ``reference`` only, and repeats their fullUrls in identifiers.
    """
    if isinstance(value, list):
        return [renamed(item, names) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: names.get(item, item) if name == "reference" and isinstance(item, str) else renamed(item, names)
        for name, item in value.items()
    }


def stripped(resource: Json) -> Json:
    """The resource without what the server sets."""
    meta = {name: value for name, value in resource.get("meta", {}).items() if name not in ("versionId", "lastUpdated")}
    rest = {name: value for name, value in resource.items() if name not in ("id", "meta")}
    return rest | ({"meta": meta} if meta else {})


def queries(resource: Json, name: str) -> Iterator[tuple[str, str]]:
    """The conditional references that mean this resource."""
    for identifier in resource.get("identifier", []):
        yield f"{resource['resourceType']}?identifier={identifier.get('system')}|{identifier['value']}", name


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.attack)])
def test_bundles_load_whole_and_come_back_equal(store: Store, shared_data: Path, every: int) -> None:
    """Each fourth patient with the directories; with all of them it takes a minute, for `make attack`."""
    known: dict[str, str] = {}
    resources, seconds = 0, 0.0
    for source in sources(shared_data, every):
        text = bz2.decompress(source.read_bytes())
        sent, bundled = json.parse(text), json.parse(text)
        started = time.perf_counter()
        response = bundle.run(context(store), bundled)
        seconds += time.perf_counter() - started
        assert response.status == 200
        assert response.body is not None
        made = json.parse(response.body)["entry"]
        assert [e["response"]["status"] for e in made] == ["201 Created"] * len(sent["entry"]), source.name
        paths = [e["response"]["location"].partition("/_history/")[0] for e in made]
        names = dict(known)
        for entry, path in zip(sent["entry"], paths, strict=True):
            if sent["type"] == "transaction":
                names[entry["fullUrl"]] = path
            else:
                known.update(queries(entry["resource"], path))
        for entry, path in zip(sent["entry"], paths, strict=True):
            stored = store.read(EVERYTHING, *path.split("/"))
            assert stored is not None
            got = json.parse(stored.to_bytes())
            assert exact(stripped(got)) == exact(stripped(renamed(entry["resource"], names))), path
            assert got["id"] == path.partition("/")[2]
        resources += len(paths)
    print(f"{resources} resources, {seconds / resources * 1e6:.0f} us each")
