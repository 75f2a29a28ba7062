"""The senders of all destinations of all clinics, followed as they are added, changed, paused and removed.

docs/hl7-outbound.md
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

import psycopg

from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import FhirError
from fhir_server.store import hl7_destinations
from fhir_server.store.hl7_destinations import DestinationRow
from fhir_server.store.hl7_notices import Lost, notices
from fhir_server.store.hl7_outbound import CHANGED
from fhir_server.store.session import Database
from hl7_gateway.outbound.destination import parsed
from hl7_gateway.outbound.rules import NotADestination
from hl7_gateway.outbound.sender import Sender

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 2.0
_NOTICE_SECONDS: Final = 0.5

Key = tuple[int, int, int]
"""Tenant, number, and when it was last changed: a destination that is changed gets another sender."""


class Senders:
    """Runs a sender for each destination that is not paused, in this process; others may do the same beside it.

    ``base_url`` makes of a clinic's slug its FHIR base.
    """

    def __init__(self, database: Database, hasher: Hasher, base_url: Callable[[str], str]) -> None:
        self._database = database
        self._hasher = hasher
        self._base_url = base_url
        self._running: dict[Key, Sender] = {}
        self._unusable: set[Key] = set()
        self._stopping = threading.Event()
        self._changed = threading.Lock()
        self._threads = [
            threading.Thread(target=self._follow, name="hl7-destinations", daemon=True),
            threading.Thread(target=self._listen, name="hl7-outbox", daemon=True),
        ]

    def start(self) -> None:
        """Send what waits, and what comes."""
        for thread in self._threads:
            thread.start()

    def stop(self, grace: float = 8.0) -> None:
        """Begin no other message, and wait ``grace`` seconds for those that are under way."""
        self._stopping.set()
        until = time.monotonic() + grace
        self._threads[0].join(grace)
        with self._changed:
            senders = list(self._running.values())
        for sender in senders:
            sender.stop()
        late = [one for one in senders if not one.join(max(0.0, until - time.monotonic()))]
        if late:
            logger.warning("messages for destinations were cut off", extra={"destinations": len(late)})

    def run(self, stopping: threading.Event) -> None:
        """Send until ``stopping`` is set."""
        self.start()
        stopping.wait()
        self.stop()

    def _follow(self) -> None:
        while not self._stopping.is_set():
            try:
                rows = self._database.run(lambda c: hl7_destinations.listed(c), read_only=True)
            except FhirError as error:
                logger.warning("destinations cannot be read just now", exc_info=error)
            else:
                self._keep_up(rows)
            self._stopping.wait(_LOOK_SECONDS)

    def _keep_up(self, rows: list[DestinationRow]) -> None:
        wanted = {(row.tenant_id, row.id, row.changed): row for row in rows if not row.paused}
        with self._changed:
            dead = {key for key, sender in self._running.items() if not sender.alive}
            gone = [self._running.pop(key) for key in (self._running.keys() - wanted.keys()) | dead]
        for sender in gone:
            sender.stop()
        self._unusable &= wanted.keys()
        for key in wanted.keys() - self._running.keys() - self._unusable:
            self._begin(key, wanted[key])

    def _begin(self, key: Key, row: DestinationRow) -> None:
        try:
            destination = parsed(row)
            destination.tls()
        except NotADestination as error:
            self._unusable.add(key)
            said = {"tenant_id": row.tenant_id, "destination": row.id, "problems": error.problems}
            logger.error("a destination cannot be used", extra=said)
            return
        sender = Sender(self._database, self._hasher, destination, self._base_url(row.slug))
        sender.start()
        with self._changed:
            self._running[key] = sender

    def _listen(self) -> None:
        """Wake the senders of a clinic when something of it changes."""
        while not self._stopping.is_set():
            try:
                for told in notices(self._database, CHANGED, _NOTICE_SECONDS):
                    if self._stopping.is_set():
                        return
                    self._wake(told)
            except (Lost, psycopg.Error):
                # They look for themselves from time to time.
                self._stopping.wait(_LOOK_SECONDS)

    def _wake(self, told: list[str] | None) -> None:
        """None: it is not known what was told before."""
        with self._changed:
            running = list(self._running.items())
        for (tenant_id, _, _), sender in running:
            if told is None or str(tenant_id) in told:
                sender.wake()
