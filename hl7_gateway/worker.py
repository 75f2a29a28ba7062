"""Takes messages that wait and has them delivered, many in one transaction.

docs/decisions/0018-messages-in-order.md
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import Conflict, FhirError, Unavailable
from fhir_server.interactions.context import Tenant
from fhir_server.store import directory, hl7_destinations, hl7_messages, hl7_overview
from fhir_server.store.hl7_messages import CAME, Settled, Waiting
from fhir_server.store.hl7_notices import Lost, notices
from fhir_server.store.reading import now
from fhir_server.store.session import Connection, Database, Ending
from fhir_server.store.store import Store
from hl7_gateway import answers, recording, sequence
from hl7_gateway.conversion.convert import convert
from hl7_gateway.conversion.draft import Conversion
from hl7_gateway.deliver import Delivered, Desk, Work, deliver_batch
from hl7_gateway.feed import COMMIT, Feed
from hl7_gateway.feeds import Feeds, sender
from hl7_gateway.message import Message
from hl7_gateway.problems import Hl7Error, Refused
from hl7_gateway.reading import Read, read
from hl7_gateway.turns import Rests, Turns
from hl7_gateway.wire import client

logger = logging.getLogger(__name__)

MOST: Final = 32
"""Messages of one transaction: its commit is shared by them, and its locks are not held for long."""

_LOCKS: Final = 500
"""Patients of one transaction: PostgreSQL has room for some thousands of locks over all of them."""

_SWEEP_SECONDS: Final = 1.0
"""How often the database is asked what waits, which finds what nobody has told of."""
_RESTING: Final = 30
"""In which of so many sweeps clinics are looked at all of whose feeds are held."""

_DESK_SECONDS: Final = 30.0
_TOO_OFTEN: Final = 5
"""How often one message alone may take longer than a statement may, before it is a dead letter."""


@dataclass(slots=True)
class _Prepared:
    """A message that was taken: what it says, and what is answered to it when it is stored."""

    waiting: Waiting
    work: Work
    message: Message | None
    untold: bool
    """Whether its acknowledgment is still to be made."""
    number: int | None = None
    """MSA-4 of that."""


class Worker:
    """Delivers the messages of all clinics, until it is told to stop; any number of processes do so beside each other.

    ``base_url`` makes of a clinic's slug its FHIR base. ``patience``: the seconds that one which is not
    needed lets others be first: all are told of a message and one is enough for it, and few transactions of many
    messages cost less than many of few.
    """

    def __init__(
        self,
        database: Database,
        hasher: Hasher,
        feeds: Feeds,
        base_url: Callable[[str], str],
        *,
        full_text: bool = True,
        most: int = MOST,
        patience: float = 0.0,
    ) -> None:
        self._database = database
        self._patience = patience
        self._hasher = hasher
        self._feeds = feeds
        self._base_url = base_url
        self._full_text = full_text
        self._most = most
        self._turns = Turns()
        self._desks: dict[int, tuple[float, Desk]] = {}
        self._slow: dict[tuple[int, int], int] = {}
        self._swept = 0
        self._more = True

    def run(self, stopping: threading.Event) -> None:
        """Deliver what waits and what comes. What is under way at a stop is finished first."""
        listener = threading.Thread(target=self._listen, args=(stopping,), name="hl7-came", daemon=True)
        listener.start()
        swept = float("-inf")
        rests = Rests()
        needed = True
        while not stopping.is_set():
            if self._patience and not needed:
                stopping.wait(self._patience)
            self._feeds.refresh_if_possible()
            if time.monotonic() - swept > _SWEEP_SECONDS:
                swept = time.monotonic()
                self._sweep()
            if rested := rests.rested():
                self._turns.add(rested)
            tenant_id = self._turns.next(rests.seconds(_SWEEP_SECONDS / 2), self._patience)
            if tenant_id is None or tenant_id in rests.until:
                continue
            try:
                done = self.once(tenant_id)
                needed = 2 * done >= self._most or self._turns.others(tenant_id)
                if done and self._more:
                    self._turns.add([tenant_id])
                rests.went_well(tenant_id)
            except FhirError as error:
                # Nothing is lost: the rows are free again. Other clinics do not wait for what is wrong with this one.
                logger.warning("messages wait for the database", extra={"tenant_id": tenant_id}, exc_info=error)
                rests.failed(tenant_id)

    def once(self, tenant_id: int) -> int:
        """Deliver messages of one clinic that wait for no others; how many. Raises Unavailable or Conflict."""
        return self._deliver(tenant_id, self._most)

    def _listen(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            try:
                for told in notices(self._database, CAME, _SWEEP_SECONDS):
                    if stopping.is_set():
                        return
                    self._turns.add([int(one) for one in told or ()])
            except (Lost, FhirError) as error:
                logger.warning("messages that come are not heard of", exc_info=error)
                stopping.wait(_SWEEP_SECONDS)

    def _sweep(self) -> None:
        """Look at all clinics of which messages wait, as if they had been told of."""
        try:
            waiting = self._database.run(hl7_overview.waiting_clinics, read_only=True)
        except FhirError as error:
            logger.warning("what waits cannot be asked for just now", exc_info=error)
            return
        # What they hold may be of a feed that is gone.
        resting = self._feeds.resting if self._swept % _RESTING else ()
        self._swept += 1
        self._turns.add([tenant_id for tenant_id in waiting if tenant_id not in resting])

    def _deliver(self, tenant_id: int, most: int) -> int:
        self._more = True
        desk = self._desk(tenant_id)
        taken: list[Waiting] = []
        prepared: dict[int, _Prepared] = {}
        try:
            store = Store(self._database, self._hasher, tenant_id, full_text=self._full_text)
            held = self._feeds.held(tenant_id)
            first = [hl7_messages.heading(tenant_id, held, most), hl7_destinations.asking(tenant_id)]
            return store.transaction_around(first, partial(self._work, desk, most, held, taken, prepared))
        except Exception as error:
            if len(taken) <= 1:
                return self._one_failed(tenant_id, taken, prepared, error)
            if isinstance(error, Unavailable) and not _timed_out(error):
                raise
        # One of them spoils it for all: which one shows when each is alone.
        return sum(self._deliver(tenant_id, 1) for _ in taken)

    def _work(
        self,
        desk: Desk,
        most: int,
        held: Sequence[int],
        taken: list[Waiting],
        prepared: dict[int, _Prepared],
        store: Store,
        first: Sequence[Any],
    ) -> Ending[int]:
        """One transaction: take, convert, write, settle. ``first`` is what it began with has come to."""
        tenant_id = store.tenant_id
        head, answering = first
        # The transaction may be run again, and take others.
        waiting = store.within(lambda c: hl7_messages.take(c, tenant_id, held, most, head))
        found = _bearable(waiting)
        # Those that these keep waiting; what has come since is told of.
        self._more = waiting.more or len(found) < len(waiting)
        taken[:] = found
        prepared.clear()
        if not found:
            return Ending(0)
        whom = [patient for one in found for patient in one.patients]
        store.within(lambda c: hl7_messages.lock_patients(c, tenant_id, whom))
        prepared.update((one.id, self._prepare(tenant_id, one)) for one in found)
        desk = replace(desk, answering=hl7_destinations.answering(answering))
        works = [one.work for one in prepared.values()]
        batch = deliver_batch(desk, store, works, partial(_acknowledge, prepared), guarded=True)
        return Ending(len(found), batch.settling)

    def _one_failed(
        self, tenant_id: int, taken: list[Waiting], prepared: dict[int, _Prepared], error: Exception
    ) -> int:
        """A transaction failed that held one message, or none."""
        if not taken:
            raise error
        (one,) = taken
        if isinstance(error, Unavailable | Conflict):
            timed_out = _timed_out(error)
            times = self._slow.get((tenant_id, one.id), 0) + timed_out
            if times < _TOO_OFTEN:
                if timed_out:
                    self._slow[tenant_id, one.id] = times
                raise error
            self._slow.pop((tenant_id, one.id), None)
        problem = _incident(one.id, error)
        # Whom nobody could read is answered what was answered before.
        failed = Delivered(one.id, problem=problem)
        told = _acknowledge(prepared, prepared[one.id].work, failed) if one.id in prepared else None
        dead = Settled(one.id, failed.state, "", failed.problem_json(), acknowledgment=told, awaited=True)
        feed = self._feeds.get(tenant_id, one.feed_id)
        name = "removed" if feed is None else feed.name
        event = recording.failed(tenant_id, self._desk(tenant_id).tenant.slug, name, one.id, problem)

        def settle(connection: Connection) -> None:
            if not hl7_messages.waits(connection, tenant_id, one.id):
                # Another worker has taken it since: what becomes of it there counts.
                return
            hl7_messages.settle(connection, tenant_id, [dead], now())
            recording.record(connection, self._hasher, event)

        self._database.transaction(tenant_id, settle)
        return 1

    def _prepare(self, tenant_id: int, one: Waiting) -> _Prepared:
        """What a message says, or why that cannot be told."""
        feed = self._feeds.get(tenant_id, one.feed_id)
        if feed is None:
            self._feeds.refresh(now=True)
            feed = self._feeds.get(tenant_id, one.feed_id)
        if feed is None and one.feed_id in self._feeds.held(tenant_id):
            # Its configuration is of no use since just now.
            raise Unavailable("This feed cannot be used.")
        if feed is None:
            gone = Refused(207, "AE", None, "Its feed does not exist any more.")
            return _Prepared(one, Work(one.id, "removed", gone), None, untold=False)
        if feed.mapping.wanting:
            # A ConceptMap went just now; from the next look on they are held.
            raise Unavailable("A ConceptMap of this feed cannot be used.")
        found = _read(feed, one)
        said = found.problem
        work = Work(one.id, feed.name, said or Refused(100, "AE", None, "There is no message."))
        if found.message is not None:
            version = feed.mapping.version
            application, facility = sender(found.message.header)
            whom = " ".join(part for part in (application, facility) if part)
            awaited = feed.acknowledgment == COMMIT
            work = Work(one.id, feed.name, said or _said(feed, found.message, one.id), whom, version, awaited)
        untold = feed.acknowledgment == COMMIT or (one.attempts > 0 and not _accepted(one.acknowledgment))
        number = sequence.echoed(feed, found.message) if found.message is not None else None
        return _Prepared(one, work, found.message, untold=untold, number=number)

    def _desk(self, tenant_id: int) -> Desk:
        made, desk = self._desks.get(tenant_id, (float("-inf"), None))
        if desk is not None and time.monotonic() - made < _DESK_SECONDS:
            return desk
        slug = next((slug for slug, number in directory.all_tenants(self._database) if number == tenant_id), "")
        entry = directory.entry(self._database, slug)
        if entry is None:
            raise Unavailable("The clinic of these messages is not there (any more).")
        desk = Desk(Tenant(tenant_id, slug, entry.taken), self._base_url(slug))
        self._desks[tenant_id] = time.monotonic(), desk
        return desk


def _bearable(found: list[Waiting]) -> list[Waiting]:
    """As many of the messages as have few enough patients together; the others are free again at once after these."""
    locks = 0
    for place, one in enumerate(found):
        locks += len(one.patients)
        if locks > _LOCKS and place:
            return found[:place]
    return found


def _timed_out(error: FhirError) -> bool:
    return error.issues[0].code == "timeout"


def _read(feed: Feed, one: Waiting) -> Read:
    found = read(feed, one.raw)
    if isinstance(found, Read):
        return found
    return Read(feed, one.raw, None, Refused(100, "AE", None, "It is not one message."))


def _said(feed: Feed, message: Message, number: int) -> Conversion | Refused:
    try:
        return convert(message, feed.mapping)
    except Refused as problem:
        return problem
    except Hl7Error as error:
        return Refused(207, "AE", None, str(error))
    except Exception as error:  # noqa: BLE001 - one message must not keep those behind it waiting
        return _incident(number, error)


def _incident(number: int, error: Exception) -> Refused:
    """A defect: the log tells where, without what the message holds, which the text of an error may quote."""
    incident = str(uuid.uuid4())
    logger.error(
        "a message could not be converted",
        extra={
            "hl7_message": number,
            "incident": incident,
            "error": type(error).__name__,
            "raised_at": "".join(traceback.format_tb(error.__traceback__)),
        },
    )
    return Refused(207, "AE", None, f"It could not be converted; incident {incident}.")


def _accepted(acknowledgment: bytes) -> bool:
    parts = answers.parts(acknowledgment)
    return not parts or client.read(parts[-1]).accepted


def _acknowledge(prepared: dict[int, _Prepared], work: Work, delivered: Delivered) -> bytes | None:
    """The acknowledgment that replaces the one that was given before; None where that one stays."""
    one = prepared[work.message]
    if not one.untold or one.message is None:
        return None
    return answers.settled(one.message, delivered.problem, one.number)
