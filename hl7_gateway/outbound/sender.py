"""Sends what waits for one destination, one message after another over one connection. docs/hl7-outbound.md

https://www.hl7.eu/HL7v2x/v281/std281/ch02.html, "2.9 Message processing rules"
"""

from __future__ import annotations

import asyncio
import logging
import threading
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar
from uuid import uuid4

import psycopg

from fhir_server.audit import event as events
from fhir_server.audit.drain import row_of
from fhir_server.audit.event import REFUSED, SUCCESS, UNKNOWN, Event
from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import FhirError
from fhir_server.store import audit, hl7_outbound
from fhir_server.store.hl7_outbound import DEAD, SENT, SKIPPED, Entry
from fhir_server.store.reading import now
from fhir_server.store.session import Connection, Database
from hl7_gateway.outbound.building.message import Made
from hl7_gateway.outbound.building.sources import Impossible, Untold
from hl7_gateway.outbound.destination import Destination
from hl7_gateway.outbound.line import Line
from hl7_gateway.outbound.preparing import control_id, prepared
from hl7_gateway.outbound.shelf import Shelf
from hl7_gateway.problems import Malformed
from hl7_gateway.wire.client import Answer, Unanswered

logger = logging.getLogger(__name__)

T = TypeVar("T")

_MOST: Final = 100
"""How many rows are planned at once."""

_SWEEP_SECONDS: Final = 5.0
"""How often it is looked whether something waits that nobody has told of."""

_DATABASE_SECONDS: Final = (0.2, 1.0, 5.0)
"""How long to wait for a database that does not answer."""

_SECOND: Final = 1_000_000


class Sender:
    """The sender of one destination, in a thread of its own; other processes may have one for the same destination.

    A row is locked for the time that it takes to send it: when the process dies, nobody holds it any more. Its message
    is committed before it is sent for the first time, so that every attempt sends the same bytes.
    """

    def __init__(self, database: Database, hasher: Hasher, destination: Destination, base_url: str) -> None:
        self.destination = destination
        self._database = database
        self._hasher = hasher
        self._base_url = base_url
        self._tenant = destination.row.tenant_id
        self._stopping = threading.Event()
        self._awake = threading.Event()
        self._connection: Connection | None = None
        self._down_until = 0
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name=f"hl7-destination-{destination.row.id}", daemon=True)

    def start(self) -> None:
        """Send what waits, and what comes."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it has not ended, by an error that nobody has foreseen."""
        return self._thread.is_alive()

    def wake(self) -> None:
        """Look at once whether something waits."""
        self._awake.set()

    def stop(self) -> None:
        """Begin no other message. What is under way is finished: `join` waits for it."""
        self._stopping.set()
        self._awake.set()

    def join(self, seconds: float) -> bool:
        """Wait for the end; whether it has come. What is not finished by then is sent again, by whoever comes next."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        failures = 0
        with asyncio.Runner() as runner:
            wire = Line(self.destination)
            while not self._stopping.is_set():
                self._awake.clear()
                try:
                    seconds = self._turn(runner, wire)
                    failures = 0
                except (psycopg.Error, FhirError) as error:
                    # Nothing is lost: the rows are free again.
                    logger.warning("messages for a destination wait for the database", extra=self._named(error))
                    self._give_up_connection()
                    seconds = _DATABASE_SECONDS[min(failures, len(_DATABASE_SECONDS) - 1)]
                    failures += 1
                if seconds:
                    self._awake.wait(seconds)
            runner.run(wire.close())
        self._give_up_connection()

    def _turn(self, runner: asyncio.Runner, wire: Line) -> float:
        """Send what may be sent; how many seconds there is nothing to do then."""
        wait = (self._down_until - now()) / _SECOND
        if wait > 0:
            return wait
        ready = self._within(lambda c: hl7_outbound.ready(c, self._tenant, self.destination.row.id, now(), _MOST))
        for number in ready.ids:
            if self._stopping.is_set() or now() < self._down_until:
                break
            if self._made(number):
                self._send(runner, wire, number)
        if ready.ids:
            return 0.0
        later = (ready.later - now()) / _SECOND if ready.later else _SWEEP_SECONDS
        return min(max(later, 0.01), _SWEEP_SECONDS)

    # The message is made

    def _made(self, number: int) -> bool:
        """Whether there is a message to be sent for a row: made now, where it was not before."""
        return self._within(partial(self._make, number))

    def _make(self, number: int, connection: Connection) -> bool:
        entry = hl7_outbound.locked(connection, self._tenant, number, now())
        if entry is None:
            return False
        if entry.message is not None:
            return True
        shelf = Shelf(self._database, self._hasher, self.destination, self._base_url)
        try:
            known = hl7_outbound.told_before(connection, self._tenant, entry)
            made = prepared(entry, known, self.destination, shelf, now())
            self._refuse_repetition(connection, entry, made)
        except Untold as reason:
            self._settle(connection, entry, SKIPPED, {"said": str(reason)}, tried=False)
            return False
        except Impossible as reason:
            self._settle(connection, entry, DEAD, {"said": str(reason)}, tried=False)
            return False
        except Exception as error:
            if isinstance(error, psycopg.Error | FhirError):
                raise
            self._settle(
                connection, entry, DEAD, {"said": f"Unexpected; incident {self._incident(error)}."}, tried=False
            )
            return False
        hl7_outbound.made(connection, self._tenant, number, made.event, control_id(entry), made.raw)
        return True

    def _refuse_repetition(self, connection: Connection, entry: Entry, made: Made) -> None:
        """A report and its results are told together: whichever of them comes first. Raises Untold."""
        if not made.about:
            return
        keys = [self._hasher.uncached(path) for path in made.about]
        last = hl7_outbound.last_message(connection, self._tenant, entry.destination_id, [entry.key, *keys])
        if last is not None and made.says_the_same(last):
            raise Untold("It was told with what belongs to it.")

    def _incident(self, error: Exception) -> str:
        """What the error says may quote a resource: the log holds its kind and where it was raised."""
        incident = str(uuid4())
        logger.error(
            "a message for a destination could not be made",
            extra={
                **self._named(error),
                "incident": incident,
                "raised_at": "".join(traceback.format_tb(error.__traceback__)),
            },
        )
        return incident

    # The message is sent

    def _send(self, runner: asyncio.Runner, wire: Line, number: int) -> None:
        def attempt(connection: Connection) -> None:
            entry = hl7_outbound.locked(connection, self._tenant, number, now())
            if entry is None or entry.message is None:
                return
            try:
                answer = runner.run(wire.send(entry.message))
            except (Unanswered, Malformed) as error:
                self._failed(connection, entry, str(error), reached=True)
            except OSError as error:
                # There is no connection: not the message, the destination has to wait.
                said = f"No connection could be made ({type(error).__name__})."
                self._failed(connection, entry, said, reached=False)
            else:
                self._answered(connection, entry, answer, wire.received)

        self._within(attempt)

    def _answered(self, connection: Connection, entry: Entry, answer: Answer | None, received: bytes | None) -> None:
        if answer is None or answer.code not in ("AA", "CA", "AE", "AR", "CE", "CR"):
            self._failed(connection, entry, "What was answered is no acknowledgment.", reached=True)
            return
        self._failures = 0
        if answer.accepted:
            self._settle(connection, entry, SENT, None, received)
            self._audit(connection, entry, SUCCESS, answer.code)
            return
        complaints = [{"code": one.code, "place": one.place, "said": one.said} for one in answer.complaints]
        problem = {"code": answer.code, "said": answer.said, "complaints": complaints}
        self._settle(connection, entry, DEAD, problem, received)
        self._audit(connection, entry, REFUSED, answer.code)
        logger.warning(
            "a destination has refused a message",
            extra={
                "tenant_id": self._tenant,
                "destination": self.destination.row.id,
                "row": entry.id,
                "code": answer.code,
            },
        )

    def _failed(self, connection: Connection, entry: Entry, said: str, *, reached: bool) -> None:
        """No answer: the row waits for another attempt, or is dead after so many as are configured.

        ``reached``: the message went out, so that somebody may have read it.
        """
        configuration = self.destination.configuration
        attempts = entry.attempts + 1
        if configuration.attempts and attempts >= configuration.attempts:
            self._settle(connection, entry, DEAD, {"said": said})
        else:
            at = now() + int(configuration.wait(attempts) * _SECOND)
            hl7_outbound.postpone(connection, self._tenant, entry.id, at, {"said": said})
        if reached:
            self._failures = 0
            if not entry.attempts:
                self._audit(connection, entry, UNKNOWN, "")
        else:
            self._failures += 1
            self._down_until = now() + int(configuration.wait(self._failures) * _SECOND)

    def _settle(
        self,
        connection: Connection,
        entry: Entry,
        state: str,
        problem: dict[str, Any] | None,
        received: bytes | None = None,
        *,
        tried: bool = True,
    ) -> None:
        hl7_outbound.settle(
            connection, self._tenant, entry.id, state, now(), acknowledgment=received, problem=problem, tried=tried
        )

    def _audit(self, connection: Connection, entry: Entry, outcome: str, code: str) -> None:
        """That data went out, and to whom; last in the transaction, as others wait for the end of the chain."""
        at, principal = now(), self.destination.principal
        told = Event(
            id=events.new_id(at),
            tenant_id=self._tenant,
            at=at,
            kind="export",
            outcome=outcome,
            subject=principal.subject,
            client_id=principal.client_id,
            request_id=f"hl7-outbox/{entry.id}",
            resource_type=entry.resource_type,
            resource_id=entry.resource_id,
            after=entry.version,
            patients=(entry.patient,),
            detail={"event": entry.event, "control_id": entry.control_id, "answer": code},
        )
        audit.append(connection, self._tenant, [row_of(told, self._hasher)])

    # The database

    def _within(self, work: Callable[[Connection], T]) -> T:
        """Work in a transaction of the tenant, over a connection that is this thread's own: it may last as long as an
        answer takes."""
        if self._connection is None:
            self._connection = self._database.connect_apart()
        with self._connection.transaction():
            self._connection.execute("SELECT set_config('fhir.tenant', %s, true)", [str(self._tenant)])
            return work(self._connection)

    def _give_up_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _named(self, error: Exception) -> dict[str, Any]:
        row = self.destination.row
        return {"tenant_id": row.tenant_id, "destination": row.id, "error": type(error).__name__}
