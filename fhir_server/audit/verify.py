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

    @classmethod
    def parse(cls, text: str) -> Head:
        """From NUMBER:HASH, as it is told. Raises ValueError."""
        number, _, digest = text.partition(":")
        if not (number.isascii() and number.isdigit() and len(number) < _LONGEST and len(digest) == _DIGITS):
            raise ValueError("a head is NUMBER:HASH")
        return cls(int(number), bytes.fromhex(digest))

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash.hex()}"


_LONGEST, _DIGITS = 19, 64


class Report(NamedTuple):
    """How many records were found in order, and the first thing that is not; "" where everything is."""

    records: int
    problem: str = ""


class Part(NamedTuple):
    """What came of looking at some records, those after number ``after``: where that ended, whether that is where the
    chain ends, and the first thing that is not in order."""

    after: int
    head: Head
    complete: bool
    problem: str = ""


class _Walked(NamedTuple):
    """As far as records are in order; ``pairs`` are how often they are found by what they are about."""

    head: Head
    pairs: int
    problem: str = ""


def verify(database: Database, hasher: Hasher, tenant_id: int, kept: Head | None = None) -> Report:
    """Walk a tenant's chain from its beginning. ``kept`` is a head from earlier, which the chain must go through.

    Raises Unavailable.
    """
    head, beginning = _ends(database, tenant_id)
    walked = _walk(database, hasher, tenant_id, beginning, head.seq, kept)
    problem = walked.problem or _at_the_end(database, tenant_id, head, walked.head.hash)
    if not problem and kept is not None and kept.seq > head.seq:
        problem = _cut(head, kept)
    if not problem and audit.counted_pairs(database, tenant_id, head.seq) != (walked.pairs, 0):
        problem = "audit_entity has rows that no record accounts for"
    return Report(walked.head.seq, problem)


def verify_part(database: Database, hasher: Hasher, tenant_id: int, kept: Head | None, most: int) -> Part:
    """Look at ``most`` records at most: those after a head from earlier, which the chain must have, or the newest.

    What only the whole can tell is left to `verify`: rows of audit_entity that no record accounts for, and, without a
    head, whatever is before the newest. Raises Unavailable.
    """
    head, beginning = _ends(database, tenant_id)
    if kept is not None and kept.seq > head.seq:
        return Part(kept.seq, kept, True, _cut(head, kept))
    number = max(0, head.seq - most) if kept is None else kept.seq
    start = _at(database, tenant_id, number) if number else beginning
    if start is None or (kept is not None and start != kept):
        problem = f"record {number} was changed, or is missing" if kept is None else _ANOTHER.format(number)
        return Part(number, kept or Head(number, b""), False, problem)
    end = min(head.seq, number + most)
    walked = _walk(database, hasher, tenant_id, start, end, None)
    problem = walked.problem
    if not problem and end == head.seq:
        problem = _at_the_end(database, tenant_id, head, walked.head.hash)
    return Part(number, walked.head, end == head.seq, problem)


def beginning_of(tenant_id: int) -> Head:
    """What stands before the first record of a chain."""
    return Head(0, chain.genesis(tenant_id))


def _ends(database: Database, tenant_id: int) -> tuple[Head, Head]:
    """Where a chain ends, and where it begins."""
    found = audit.head(database, tenant_id)
    beginning = beginning_of(tenant_id)
    return (Head(*found) if found else beginning), beginning


def _at(database: Database, tenant_id: int, seq: int) -> Head | None:
    """The record with a number, if it is there and has the hash that follows from the one before it."""
    found = {link.seq: link for link in audit.walk(database, tenant_id, max(0, seq - 2), 2)}
    before = beginning_of(tenant_id).hash if seq == 1 else found[seq - 1].hash if seq - 1 in found else None
    if seq not in found or before is None:
        return None
    made = chain.link(before, seq, found[seq].record)
    return Head(seq, made) if made == found[seq].hash else None


def _walk(database: Database, hasher: Hasher, tenant_id: int, start: Head, end: int, kept: Head | None) -> _Walked:
    """Look at the records after ``start`` up to number ``end``."""
    seq, current = start
    pairs = 0
    while seq < end:
        page = audit.walk(database, tenant_id, seq, min(_PAGE, end - seq))
        wanted: list[tuple[int, str]] = []
        for link in page:
            before, current = current, chain.link(current, seq + 1, link.record)
            problem = _problem(link, seq + 1, current, hasher, tenant_id)
            if not problem and kept is not None and seq + 1 == kept.seq and kept.hash != current:
                problem = _ANOTHER.format(seq + 1)
            if problem:
                return _Walked(Head(seq, before), pairs, problem)
            seq += 1
            wanted += ((key, link.id) for key in row_of(events.decode(link.record), hasher).entities)
        if not page:
            missing = f"record {seq + 1} is missing, and whatever came after it: the chain had {end} at least"
            return _Walked(Head(seq, current), pairs, missing)
        if audit.present_pairs(database, tenant_id, wanted) != len(wanted):
            unfound = f"a record up to {seq} is not found by what it is about: audit_entity lacks rows"
            return _Walked(Head(seq, current), pairs, unfound)
        pairs += len(wanted)
    return _Walked(Head(seq, current), pairs)


_ANOTHER = "record {} is not the one whose hash was kept: it or one before it was changed"


def _cut(head: Head, kept: Head) -> str:
    return f"the chain ends at {head.seq}, and it had {kept.seq} records once: the last ones were removed"


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


def _at_the_end(database: Database, tenant_id: int, head: Head, current: bytes) -> str:
    if head.hash != current:
        return f"the last record, {head.seq}, is not the one that audit_head names"
    found = audit.head(database, tenant_id)
    if audit.walk(database, tenant_id, head.seq, 1) and (found is None or Head(*found) == head):
        return f"there are records after {head.seq}, where audit_head says that the chain ends"
    return ""
