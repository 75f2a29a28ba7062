"""A clinic's trail as a file for an auditor: scripts/verify_audit.py reads it. docs/audit.md, "Verifying"

JSON lines: first what is exported and the hash before it, then each record with its number and hash, at last where the
chain ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fhir_server.audit import chain
from fhir_server.store import audit
from fhir_server.store.session import Database

FORMAT = "fhir-server audit 1"
_PAGE = 1000


def lines(database: Database, tenant_id: int, slug: str, start: int, end: int) -> Iterator[dict[str, Any]]:
    """The export of the records of [start, end), in microseconds since 1970, line by line. Raises Unavailable."""
    head = audit.head(database, tenant_id) or (0, chain.genesis(tenant_id))
    first, last = audit.spanned(database, tenant_id, start, end) or (1, 0)
    before = audit.walk(database, tenant_id, first - 2, 1) if first > 1 else []
    previous = before[0].hash if before else chain.genesis(tenant_id)
    yield {
        "format": FORMAT,
        "tenant": slug,
        "tenant_id": tenant_id,
        "first": first,
        "last": last,
        "previous": previous.hex(),
    }
    seq = first - 1
    while seq < last:
        page = audit.walk(database, tenant_id, seq, min(_PAGE, last - seq))
        if not page:
            break
        for link in page:
            yield {"seq": link.seq, "hash": link.hash.hex(), "record": link.record}
        seq = page[-1].seq
    yield {"head": {"seq": head[0], "hash": head[1].hex()}}
