"""Resources in a tenant's store, and searches on them without HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from fhir_server.access.policy import EVERYTHING
from fhir_server.access.principal import Principal
from fhir_server.crypto.hashing import Hasher
from fhir_server.interactions import search
from fhir_server.interactions.context import Context, Prefer, Tenant
from fhir_server.r4 import json
from fhir_server.r4.compose import decompose
from fhir_server.search.index import extract
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.index_rows import IndexRows
from fhir_server.store.resources import Write
from fhir_server.store.session import Database
from fhir_server.store.store import Store

BASE = "http://localhost:8080/t/clinic/fhir"
HASHER = Hasher(b"a key of the tests, 32 bytes long")
Bundle = dict[str, Any]


@contextmanager
def opened(urls: DatabaseUrls) -> Iterator[Database]:
    """A pool as the application's role."""
    database = Database(urls.app, size=4)
    database.open()
    try:
        yield database
    finally:
        database.close()


def context(database: Database, tenant_id: int, *, lenient: bool = False, subject: str = "client-1") -> Context:
    """What an interaction is given for a caller who may see everything of the tenant."""
    principal = Principal("clinic", subject, subject, ())
    store = Store(database, HASHER, tenant_id)
    return Context(Tenant(tenant_id, "clinic"), principal, EVERYTHING, store, BASE, Prefer(lenient=lenient))


def create(ctx: Context, resources: Iterable[dict[str, Any]]) -> None:
    """Store resources under the ids that they carry."""
    for resource in resources:
        meta, body = decompose(resource)
        written = ctx.store.put(
            Write(
                resource["resourceType"],
                resource["id"],
                "PUT",
                None,
                json.dumps(meta) if meta else None,
                json.dumps(body),
                extract(resource, HASHER),
            )
        )
        assert written.status in ("created", "updated"), written


def delete(ctx: Context, resource_type: str, resource_id: str) -> None:
    """Delete a resource."""
    written = ctx.store.put(Write(resource_type, resource_id, "DELETE", None, None, None, IndexRows()))
    assert written.status == "deleted", written


def find(ctx: Context, resource_type: str, *pairs: tuple[str, str]) -> Bundle:
    """One page as a parsed Bundle."""
    response = search.run(ctx, resource_type, pairs)
    assert response.status == 200
    assert response.body is not None
    bundle: Bundle = json.parse(response.body)
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "searchset")
    return bundle


def link(bundle: Bundle, relation: str) -> str | None:
    """The URL of a link, or None."""
    return next((one["url"] for one in bundle["link"] if one["relation"] == relation), None)


def follow(ctx: Context, url: str) -> Bundle:
    """The page behind a link, as a client would ask for it."""
    parts = urlsplit(url)
    resource_type = parts.path.rpartition("/")[2]
    return find(ctx, resource_type, *parse_qsl(parts.query, keep_blank_values=True))


def entries(bundle: Bundle, mode: str = "match") -> list[dict[str, Any]]:
    """The resources of the entries of one search mode."""
    return [entry["resource"] for entry in bundle.get("entry", []) if entry["search"]["mode"] == mode]


def pages(ctx: Context, resource_type: str, *pairs: tuple[str, str]) -> Iterator[Bundle]:
    """Every page of a search, by its next links."""
    bundle = find(ctx, resource_type, *pairs)
    yield bundle
    while url := link(bundle, "next"):
        bundle = follow(ctx, url)
        yield bundle


def ids(bundles: Iterable[Bundle]) -> list[str]:
    """The ids of all matches, in their order."""
    return [resource["id"] for bundle in bundles for resource in entries(bundle)]
