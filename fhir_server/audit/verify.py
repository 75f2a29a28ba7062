"""Is a clinic's trail in the database as it was written? docs/audit.md, "Verifying" """

from __future__ import annotations

from typing import NamedTuple

import msgspec

from fhir_server.audit import chain
from fhir_server.audit import event as events
from fhir_server.audit.drain import row_of
from fhir_server.crypto.hashing import Hasher
from fhir_server.store import audit
from fhir_server.store.session import Database

_PAGE = 1000


class Head(NamedTuple):
    """Where a chain ended when somebody looked: the number and the hash of its last record."""

    seq: int
    hash: bytes


class Report(NamedTuple):
    """How many records were found in order, and the first thing that is not; "" where everything is."""

    records: int
    problem: str = ""


def verify(database: Database, hasher: Hasher, tenant_id: int, kept: Head | None = None) -> Report:
    """Walk a tenant's chain from its beginning. ``kept`` is a head from earlier, which the chain must go through.

    Raises Unavailable.
    """
    found = audit.head(database, tenant_id)
    head = Head(*found) if found else Head(0, chain.genesis(tenant_id))
    current, seq, pairs = chain.genesis(tenant_id), 0, 0
    while seq < head.seq:
        page = audit.walk(database, tenant_id, seq, min(_PAGE, head.seq - seq))
        wanted: list[tuple[int, str]] = []
        for link in page:
            seq += 1
            current = chain.link(current, seq, link.record)
            problem = _problem(link, seq, current, hasher, tenant_id)
            if not problem and kept is not None and seq == kept.seq and kept.hash != current:
                problem = f"record {seq} is not the one whose hash was kept: it or one before it was changed"
            if problem:
                return Report(seq - 1, problem)
            wanted += ((key, link.id) for key in row_of(events.decode(link.record), hasher).entities)
        if not page:
            return Report(seq, f"record {seq + 1} is missing, and whatever came after it: the chain had {head.seq}")
        if audit.present_pairs(database, tenant_id, wanted) != len(wanted):
            return Report(seq, f"a record up to {seq} is not found by what it is about: audit_entity lacks rows")
        pairs += len(wanted)
    return Report(seq, _at_the_end(database, tenant_id, head, current, pairs, kept))


def _problem(link: audit.Link, seq: int, current: bytes, hasher: Hasher, tenant_id: int) -> str:
    if link.seq != seq:
        return f"record {seq} is missing: after {seq - 1} comes {link.seq}"
    if link.hash != current:
        return f"record {seq} was changed, or stands where it does not belong"
    try:
        event = events.decode(link.record)
    except (msgspec.DecodeError, ValueError):
        return f"record {seq} cannot be read"
    row = row_of(event, hasher)
    given = (link.id, link.at, link.kind, str(link.outcome), link.agent, link.client)
    if given != row[:6] or event.tenant_id != tenant_id:
        return f"record {seq} is found by what it does not say: a column beside it was changed"
    return ""


def _at_the_end(database: Database, tenant_id: int, head: Head, current: bytes, pairs: int, kept: Head | None) -> str:
    if head.hash != current:
        return f"the last record, {head.seq}, is not the one that audit_head names"
    if audit.walk(database, tenant_id, head.seq, 1) and audit.head(database, tenant_id) == head:
        return f"there are records after {head.seq}, where audit_head says that the chain ends"
    if kept is not None and kept.seq > head.seq:
        return f"the chain ends at {head.seq}, and it had {kept.seq} records once: the last ones were removed"
    if audit.counted_pairs(database, tenant_id, head.seq) != (pairs, 0):
        return "audit_entity has rows that no record accounts for"
    return ""
