"""From what messages say to resources in the store, in the transaction that takes the messages. docs/hl7.md

Resources, lineage, Provenance, audit and what became of each message are one transaction: a worker that dies in the
middle leaves nothing. A message that cannot be delivered is a dead letter, and leaves its neighbours as they are.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import NamedTuple
from uuid import uuid4

from fhir_server.access.policy import Access
from fhir_server.audit import event as events
from fhir_server.audit.drain import row_of
from fhir_server.audit.event import REFUSED, SUCCESS, Event
from fhir_server.errors import Conflict, FhirError
from fhir_server.interactions import write_many
from fhir_server.interactions.context import Context
from fhir_server.store import audit, hl7_destinations, hl7_lineage, hl7_messages, savepoints
from fhir_server.store.hl7_messages import Settled
from fhir_server.store.reading import now
from fhir_server.store.repeatable import repeatable
from fhir_server.store.savepoints import savepoint
from fhir_server.store.session import Connection
from fhir_server.store.store import Store
from fhir_server.store.wire import Asked as ToExecute
from fhir_server.store.wire import run_together
from hl7_gateway.delivery.apply import Application, Applied
from hl7_gateway.delivery.provenance import provenance, write_of
from hl7_gateway.delivery.resolve import Asked, Resolution, look_up, resolved
from hl7_gateway.delivery.shelf import Shelf
from hl7_gateway.delivery.work import Delivered, Desk, Work, feed_principal
from hl7_gateway.problems import Refused

__all__ = ["Batch", "Delivered", "Desk", "Work", "deliver", "deliver_all", "deliver_batch", "feed_principal"]

log = logging.getLogger(__name__)

Acknowledge = Callable[[Work, Delivered], bytes | None]
"""The acknowledgment that replaces the one given before, when it is known what became of a message; None keeps it."""

_ATTEMPTS = 4
"""How often messages are tried again that made what somebody else made at the same moment."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What became of messages, and the statements that settle them, which their transaction is to end with."""

    delivered: list[Delivered]
    settling: list[ToExecute]


def deliver(desk: Desk, store: Store, work: Work, acknowledge: Acknowledge | None = None) -> Delivered:
    """Deliver one message, as `deliver_all` does."""
    return deliver_all(desk, store, [work], acknowledge)[0]


def deliver_all(
    desk: Desk, store: Store, many: Sequence[Work], acknowledge: Acknowledge | None = None
) -> list[Delivered]:
    """Deliver messages as `deliver_batch` does, and settle them."""
    batch = deliver_batch(desk, store, many, acknowledge)
    store.within(lambda connection: run_together(connection, batch.settling))
    return batch.delivered


def deliver_batch(
    desk: Desk,
    store: Store,
    many: Sequence[Work],
    acknowledge: Acknowledge | None = None,
    *,
    guarded: bool = False,
) -> Batch:
    """Deliver messages in their order, inside the open transaction of ``store``; the caller settles them.

    What they come to is written by few statements for all of them. Only where that fails are they tried one by one,
    each behind a savepoint; ``guarded``: the first one has been set. Raises what the transaction has to be run again
    for.
    """
    if not store.in_transaction:
        raise ValueError("messages are delivered in the transaction that has taken them")

    def work(connection: Connection) -> Batch:
        tried = _tried(desk, store, connection, many, guarded=guarded)
        return Batch(tried.delivered, [*tried.last, *_settling(desk, store, many, tried.delivered, acknowledge)])

    return store.within(work)


class _Tried(NamedTuple):
    """What became of messages, and what is to be executed still."""

    delivered: list[Delivered]
    last: list[ToExecute]


def _tried(desk: Desk, store: Store, connection: Connection, many: Sequence[Work], *, guarded: bool) -> _Tried:
    for left in reversed(range(_ATTEMPTS)):
        try:
            with savepoint(connection, already=guarded, release=False):
                attempt = _Attempt(desk, store)
                return _Tried(attempt.run(many), attempt.last())
        except Exception as error:
            if repeatable(error):
                raise
            if isinstance(error, Conflict) and left:
                continue
            if len(many) == 1:
                return _Tried([Delivered(many[0].message, problem=_problem(many[0], error))], [])
            break
        finally:
            guarded = False
    return _Tried([_alone(desk, store, connection, work) for work in many], [])


def _alone(desk: Desk, store: Store, connection: Connection, work: Work) -> Delivered:
    """What became of one of several messages of which one has spoiled it for all."""
    (delivered,), last = _tried(desk, store, connection, [work], guarded=False)
    if last:
        # Those after it look at its lineage.
        run_together(connection, last)
    return delivered


def _problem(work: Work, error: Exception) -> Refused:
    """Why a message is a dead letter that failed in a way that nobody has foreseen.

    What the error says may quote the message: the log holds its kind and where it was raised.
    """
    if isinstance(error, FhirError):
        return Refused(207, "AE", None, f"It could not be stored ({error.issues[0].code}).")
    incident = str(uuid4())
    log.error(
        "a message could not be delivered",
        extra={
            "hl7_message": work.message,
            "incident": incident,
            "error": type(error).__name__,
            "raised_at": "".join(traceback.format_tb(error.__traceback__)),
        },
    )
    return Refused(207, "AE", None, f"It could not be delivered; incident {incident}.")


class _Attempt:
    """One try at messages, written together."""

    def __init__(self, desk: Desk, store: Store) -> None:
        self._desk = desk
        self._store = store
        self._contexts: dict[str, Context] = {}
        self._writes: list[write_many.Pending] = []
        self._lineage: dict[int, bytes] = {}
        """To be written, by the keys of resources."""
        self._recorded = now()

    def run(self, many: Sequence[Work]) -> list[Delivered]:
        """What becomes of them. Raises what is wrong with writing, not with a message."""
        delivered = {work.message: Delivered(work.message) for work in many}
        asked: list[tuple[Work, Asked]] = []
        for work in many:
            try:
                if isinstance(work.said, Refused):
                    raise work.said
                asked.append((work, Asked(work.message, work.said, self._store.hasher)))
            except Refused as problem:
                delivered[work.message].problem = problem
        if asked:
            shelf = Shelf(self._store, self._reach(many[0]))
            resolutions = look_up((one for _, one in asked), shelf)
            _trace(shelf, asked, resolutions)
            for (work, one), resolution in zip(asked, resolutions, strict=True):
                # Its neighbours may have made or merged what it is about.
                if not resolution.still_holds:
                    resolution = resolved(one, shelf)
                self._apply(work, one, resolution, shelf, delivered[work.message])
            self._write()
        return list(delivered.values())

    def last(self) -> list[ToExecute]:
        """What is to be executed still: the savepoint's release, before anything that was locked before it is changed,
        and the lineage."""
        lineage = [hl7_lineage.keeping(self._store.tenant_id, self._lineage)] if self._lineage else []
        return [(savepoints.RELEASE, ()), *lineage]

    def _write(self) -> None:
        """Write all of it; what came from a system that is a destination as well is marked, not to go back there."""
        if not self._writes:
            return
        tenant = self._store.tenant_id
        answering = self._desk.answering
        if answering is None:
            answering = self._store.within(lambda c: hl7_destinations.answering_feeds(c, tenant))
        if not answering:
            write_many.run(self._store, self._writes)
            return
        numbers = {feed_principal(name, self._desk.tenant.slug).subject: one for name, one in answering.items()}
        for number, writes in groupby(self._writes, lambda pending: numbers.get(pending[0].principal.subject, 0)):
            self._store.within(partial(hl7_destinations.write_for_feed, feed_id=number))
            write_many.run(self._store, list(writes))

    def _reach(self, work: Work) -> Access:
        """What may be looked up in order to be written: a consent that withholds it makes no second patient of one."""
        return self._context(work).decide("update", None)

    def _context(self, work: Work) -> Context:
        found = self._contexts.get(work.feed)
        if found is None:
            principal = feed_principal(work.feed, self._desk.tenant.slug)
            found = Context(self._desk.tenant, principal, Access(()), self._store, self._desk.base_url)
            self._contexts[work.feed] = found
        return found

    def _apply(self, work: Work, asked: Asked, resolution: Resolution, shelf: Shelf, delivered: Delivered) -> None:
        ctx = self._context(work)
        try:
            applied = Application(ctx, shelf, work, asked.conversion, resolution).run()
        except Refused as problem:
            delivered.problem = problem
            return
        delivered.names = resolution.names
        delivered.unchanged = applied.unchanged
        delivered.warnings = applied.warnings
        self._note(work, ctx, shelf, applied, delivered)

    def _note(self, work: Work, ctx: Context, shelf: Shelf, applied: Applied, delivered: Delivered) -> None:
        """Have what a message comes to be written, and seen by the messages after it."""
        for change in applied.changes:
            before, after, write = change.before, change.after, change.write
            shelf.put(after)
            self._lineage[self._store.hasher.uncached(after.path)] = after.lineage or hl7_lineage.NONE
            if write is None:
                continue
            self._writes.append((ctx, write))
            delivered.written.append((before.type, before.id, before.version, after.version))
            if write.rows.patient is not None:
                delivered.patients.add(write.rows.patient)
        if delivered.written:
            found = provenance(work.message, work.feed, work.sender, delivered.written, self._recorded)
            self._writes.append((ctx, write_of(ctx, found)))


def _trace(shelf: Shelf, asked: Sequence[tuple[Work, Asked]], resolutions: Sequence[Resolution]) -> None:
    """Load the lineage of all that messages may change."""
    shelf.trace(
        resolution.names[draft.name]
        for (_, one), resolution in zip(asked, resolutions, strict=True)
        for draft in one.order
        if draft.action != "delete" and draft.stated and (not draft.stub or draft.name in one.retired)
    )


def _settling(
    desk: Desk,
    store: Store,
    many: Sequence[Work],
    delivered: Sequence[Delivered],
    acknowledge: Acknowledge | None,
) -> list[ToExecute]:
    at = now()
    settled = [
        Settled(
            one.message,
            one.state,
            work.version,
            one.problem_json(),
            one.warnings_json(work.said),
            None if acknowledge is None else acknowledge(work, one),
            work.awaited,
        )
        for work, one in zip(many, delivered, strict=True)
    ]
    rows = [row_of(_event(desk, work, one, at), store.hasher) for work, one in zip(many, delivered, strict=True)]
    tenant = store.tenant_id
    # The trail last, for whoever appends to the clinic's chain waits for this transaction from here on.
    return [hl7_messages.settling(tenant, settled, at), audit.appending(tenant, rows)]


def _event(desk: Desk, work: Work, one: Delivered, at: int) -> Event:
    """What the audit trail keeps of a message: who sent it, and what was written. docs/audit.md"""
    principal = feed_principal(work.feed, desk.tenant.slug)
    problem = one.problem
    return Event(
        id=events.new_id(at),
        tenant_id=desk.tenant.id,
        at=at,
        kind="transaction",
        outcome=SUCCESS if problem is None else REFUSED,
        status=200 if problem is None else 422,
        subject=principal.subject,
        client_id=principal.client_id,
        request_id=f"hl7-message/{one.message}",
        written=tuple({change[:2]: change for change in one.written}.values()),
        patients=tuple(sorted(one.patients)),
        reason="" if problem is None else str(problem),
        messages=(one.message,),
    )
