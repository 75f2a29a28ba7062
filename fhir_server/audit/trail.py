"""The audit trail as the rest of the server knows it: an event is kept before its answer is sent, or there is none.
docs/audit.md"""

from __future__ import annotations

import logging
import threading
from functools import partial
from multiprocessing.util import Finalize
from pathlib import Path

from fhir_server.audit import event as events
from fhir_server.audit.drain import Drain
from fhir_server.audit.event import Event
from fhir_server.audit.settle import settled
from fhir_server.audit.spool import INTENT, RECORD, Spool
from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import FhirError, Unavailable
from fhir_server.store import audit
from fhir_server.store.session import Database

log = logging.getLogger(__name__)

DRAIN_SECONDS = 0.25
TAKE_OVER_SECONDS = 10.0
_HURRY_BYTES = 256 * 1024

CANNOT = "The audit trail cannot be written just now, and without it nothing is answered."


class Trail:
    """Keeps events. Threads may share it; each process has one.

    ``root`` is the directory of the spools, on a local disk.
    """

    def __init__(self, root: Path, database: Database, hasher: Hasher) -> None:
        self._spool = Spool(root)
        self._closed = database.closed
        self._appender = audit.Appender(database)
        self._drain = Drain(self._spool, self._appender, hasher, partial(settled, database, hasher))
        self._draining = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._failing = False

    def record(self, event: Event) -> None:
        """Keep an event: when this returns, no death of any process loses it. Raises Unavailable."""
        self._write(RECORD, event)

    def intend(self, event: Event) -> None:
        """Keep that a write is about to begin; `record` with the same id tells what became of it.

        Raises Unavailable.
        """
        self._write(INTENT, event)

    def _write(self, letter: bytes, event: Event) -> None:
        try:
            self._spool.append(letter, events.encode(event))
        except OSError as error:
            log.error("audit spool cannot be written", exc_info=error)
            raise Unavailable(CANNOT, headers=[("Retry-After", "5")]) from None
        if self._spool.waiting > _HURRY_BYTES:
            self._wake.set()

    def start(self) -> None:
        """Move events into PostgreSQL from now on, in a thread of its own, until the database is closed."""
        if self._thread is not None:
            return
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._thread.start()
        # The web server's workers end like multiprocessing's children, which run this and no atexit.
        Finalize(None, self.close, exitpriority=1)

    def flush(self) -> None:
        """Move what there is into PostgreSQL now. Raises what keeps it from going there."""
        with self._draining:
            self._drain.step()

    def close(self) -> None:
        """Move what there is and give the spool up; what cannot be moved is left for the next process."""
        with self._draining:
            if not self._failing and not self._closed.is_set():
                try:
                    self._drain.step()
                    self._drain.close()
                except (FhirError, OSError) as error:
                    log.warning("audit spool is left to the next process", exc_info=error)
            self._spool.close()
            self._appender.close()

    def _run(self) -> None:
        waited = TAKE_OVER_SECONDS
        while not self._closed.is_set():
            self._wake.wait(DRAIN_SECONDS)
            self._wake.clear()
            waited += DRAIN_SECONDS
            with self._draining:
                waited = self._move(waited)
        with self._draining:
            self._appender.close()

    def _move(self, waited: float) -> float:
        """Move what there is, and from time to time what others have left. Answers the seconds since the latter."""
        try:
            self._drain.step()
            if waited >= TAKE_OVER_SECONDS:
                self._drain.take_over()
                self._drain.give_up_on_old_intents(events.now())
                waited = 0.0
            self._failing = False
        except Exception as error:
            if not self._failing and not self._closed.is_set():
                log.error("audit records cannot be moved into the database yet", exc_info=error)
            self._failing = True
        return waited
