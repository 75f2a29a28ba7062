"""Resources taken apart into the very rows that the server writes of them, for floors that write the same."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.crypto.hashing import Hasher
from fhir_server.r4 import json
from fhir_server.r4.compose import decompose
from fhir_server.search.index import extract
from fhir_server.store.index_rows import IndexRows
from fhir_server.store.resources import TYPE_IDS, Write


@dataclass(frozen=True, slots=True)
class Prepared:
    """One resource as columns of ``resource`` and rows of the index tables."""

    resource_type: str
    id: str
    key: int
    meta: bytes | None
    body: bytes
    rows: IndexRows

    @property
    def type_id(self) -> int:
        """The resource type's number."""
        return TYPE_IDS[self.resource_type]

    def write(self) -> Write:
        """What the store takes to create it."""
        return Write(self.resource_type, self.id, "POST", 0, self.meta, self.body, self.rows)


def prepare(resource: dict[str, Any], hasher: Hasher, resource_id: str | None = None) -> Prepared:
    """Take a valid resource apart as a create does; a new id is made unless one is given."""
    resource_type = resource["resourceType"]
    chosen = resource_id or str(uuid.UUID(bytes=secrets.token_bytes(16), version=4))
    meta, body = decompose(resource)
    rows = extract(resource, hasher)
    key = hasher.uncached(f"{resource_type}/{chosen}")
    if resource_type == "Patient":
        rows.patient = key
    return Prepared(resource_type, chosen, key, json.dumps(meta) if meta else None, json.dumps(body), rows)


def index_rows(prepared: Sequence[Prepared]) -> float:
    """Rows in the index tables for each resource, on average."""
    return sum(_rows(one.rows) for one in prepared) / len(prepared)


def word_rows(rows: IndexRows) -> list[tuple[int, int, int]]:
    """The words of a resource: hash, place and weight."""
    return [(*key, weight) for key, weight in rows.words.rows.items()] if rows.words else []


def _rows(rows: IndexRows) -> int:
    lists: Iterable[Sequence[object]] = (
        rows.tokens, rows.references, rows.strings, rows.dates, rows.quantities, rows.composites, word_rows(rows),
    )  # fmt: skip
    return sum(len(one) for one in lists)
