"""Resources by themselves: with an id they are put there, without one created. https://hl7.org/fhir/R4/http.html#upsert"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from fhir_server.bulk.session import Session
from fhir_server.bulk.work import Failure, Outcome, Place
from fhir_server.errors import BadRequest, Conflict, FhirError, Unavailable
from fhir_server.interactions.context import Context
from fhir_server.interactions.create import new_id
from fhir_server.interactions.write import check_whole, prepare, refused
from fhir_server.store.own_parameters import ParametersChanged
from fhir_server.store.resources import Write
from fhir_server.store.savepoints import savepoint
from fhir_server.store.store import Store

log = logging.getLogger(__name__)

STATEMENT = 1000
"""Resources that one statement creates: it bounds the memory that its arguments take."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A resource to be written, as JSON parsed it: where it stands, and its position in its part of the input."""

    place: Place
    position: int
    resource: Any


@dataclass(frozen=True, slots=True)
class _Ready:
    candidate: Candidate
    write: Write


Refusals = list[tuple[Candidate, FhirError]]


def load(session: Session, digest: bytes, total: int, candidates: Iterable[Candidate], done: set[int]) -> Outcome:
    """As `_load`; once more where the clinic's search parameters change between indexing and writing."""
    given = list(candidates)
    try:
        return _load(session, digest, total, given, done)
    except ParametersChanged:
        return _load(session, digest, total, given, done)


def _load(session: Session, digest: bytes, total: int, candidates: Iterable[Candidate], done: set[int]) -> Outcome:
    """Write resources in one transaction that also notes how far it came; those that are refused hold up no other.

    ``digest`` stands for ``total`` positions of the input, of which ``done`` need nothing (any more). Raises
    Unavailable where the database cannot be reached, Conflict where others write the same without end.
    """
    refusals: Refusals = []
    ready: list[_Ready] = []
    for candidate in candidates:
        try:
            ready.append(_Ready(candidate, _prepared(session, candidate.resource)))
        except FhirError as error:
            refusals.append((candidate, error))
        except Exception as error:  # noqa: BLE001 - one resource that we mishandle must not hold up a million others
            refusals.append((candidate, defect(error)))
    failed = {candidate.position for candidate, _ in refusals}
    try:
        loaded, late = session.transaction(_Commit(session, digest, total, ready, failed, done, apart=False))
    except ParametersChanged:
        raise
    except (psycopg.Error, Unavailable, Conflict):
        if not session.answers():
            raise
        # One of them is more than PostgreSQL takes, or is being written by others: the rest need not suffer for it.
        loaded, late = session.transaction(_Commit(session, digest, total, ready, failed, done, apart=True))
    failures = [Failure.of(c.place, c.position, c.resource, error) for c, error in refusals + late]
    return Outcome(loaded=loaded, failures=sorted(failures, key=lambda failure: failure.position))


def defect(error: Exception) -> FhirError:
    """What is told of an error that should not be; the log has its type and the places it passed."""
    log.error("unexpected error while loading", exc_info=error)
    return FhirError(f"Unexpected {type(error).__name__}: this is a defect, please report it.", code="exception")


def _prepared(session: Session, resource: Any) -> Write:
    given = resource.get("id") if isinstance(resource, dict) else None
    try:
        if given is None:
            return prepare(session.context, resource, str(new_id()), "POST", 0)
        check_whole(resource)
        # Whether it can be an id is for validation to say.
        return prepare(session.context, resource, given, "PUT", None)
    except RecursionError:
        raise BadRequest("The resource is nested too deeply.", code="too-long") from None


@dataclass(frozen=True, slots=True)
class _Commit:
    """The transaction: what is written in it, and what it notes; ``apart`` writes one by one, each on its own."""

    session: Session
    digest: bytes
    total: int
    ready: Sequence[_Ready]
    failed: set[int]
    done: set[int]
    apart: bool

    def __call__(self, context: Context, connection: psycopg.Connection) -> tuple[int, Refusals]:
        before = self.session.noted(connection, self.digest)
        pending = set(range(self.total)) if before is None else set(before.pending)
        wanted = [item for item in self.ready if self.session.again or item.candidate.position in pending]
        late = _write_apart(context.store, connection, wanted) if self.apart else _write(context.store, wanted)
        failed = {candidate.position for candidate, _ in late} | self.failed
        written = {item.candidate.position for item in wanted} - failed
        self.session.note(connection, self.digest, self.total, (pending | failed) - self.done - written, before)
        return len(written), late


def _write(store: Store, items: Sequence[_Ready]) -> Refusals:
    """Write all in as few statements as possible: one creates what is new, one each updates what is there."""
    new: dict[tuple[str, str], _Ready] = {}
    later: list[_Ready] = []
    for item in items:
        # An id that comes twice is created first and then updated, as in two requests.
        if new.setdefault((item.write.resource_type, item.write.id), item) is not item:
            later.append(item)  # noqa: PERF401 - the condition has an effect
    first = list(new.values())
    updating: list[_Ready] = []
    for start in range(0, len(first), STATEMENT):
        updating += _create(store, first[start : start + STATEMENT])
    # In the same order in every process, so that two that update the same resources do not wait for each other.
    updating.sort(key=lambda item: (item.write.resource_type, item.write.id))
    return [refusal for item in updating + later if (refusal := _put(store, item))]


def _create(store: Store, items: list[_Ready]) -> list[_Ready]:
    """Create those that are new; returns those that exist."""
    found: list[_Ready] = []
    while items:
        fresh = all(item.write.method == "POST" for item in items)
        existing, _ = store.create_many([item.write for item in items], fresh=fresh)
        if not existing:
            break
        there = set(existing)
        found += [item for number, item in enumerate(items) if number in there]
        items = [item for number, item in enumerate(items) if number not in there]
    return found


def _write_apart(store: Store, connection: psycopg.Connection, items: Sequence[_Ready]) -> Refusals:
    refusals: Refusals = []
    for item in items:
        try:
            with savepoint(connection):
                if refusal := _put(store, item):
                    refusals.append(refusal)
        except psycopg.Error as error:
            if connection.broken or connection.closed:
                raise
            problem = FhirError(f"PostgreSQL cannot store this resource (SQLSTATE {error.sqlstate}).", code="exception")
            refusals.append((item.candidate, problem))
    return refusals


def _put(store: Store, item: _Ready) -> tuple[Candidate, FhirError] | None:
    written = store.put(item.write)
    if written.status in ("created", "updated"):
        return None
    return item.candidate, refused(item.write, written)
