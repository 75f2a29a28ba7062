"""Who waits for what becomes of a message: feeds that acknowledge once resources are stored. docs/hl7.md"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from fhir_server.errors import FhirError
from fhir_server.store import hl7_found
from fhir_server.store.hl7_messages import SETTLED
from fhir_server.store.hl7_notices import Lost, notices
from fhir_server.store.session import Database

logger = logging.getLogger(__name__)

_REMEMBERED: Final = 20_000
"""How many messages are remembered that were settled before anybody waited for them."""

_SECONDS: Final = 1.0
"""How often it is asked for what nobody has told."""

Key = tuple[int, int]
"""A tenant and a message."""


class Settlements:
    """Waits for messages of every tenant, over one connection that PostgreSQL tells of them."""

    def __init__(self, database: Database, seconds: float = _SECONDS) -> None:
        self._database = database
        self._seconds = seconds
        self._turn = threading.Lock()
        self._waiting: dict[Key, list[Future[bytes]]] = {}
        self._early: OrderedDict[Key, None] = OrderedDict()
        self._looking = ThreadPoolExecutor(1, "hl7-settled")
        self._ended = threading.Event()
        self.listening = threading.Event()
        """Set while PostgreSQL is heard: what is settled from then on is told."""
        self._thread = threading.Thread(target=self._work, name="hl7-settlements", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        self._ended.set()
        self._looking.shutdown(wait=False, cancel_futures=True)
        if self._thread.is_alive():
            self._thread.join()

    def wait(self, tenant_id: int, message_id: int) -> Future[bytes]:
        """The acknowledgment of a message, once it is settled. Whoever gives up says so with `leave`."""
        key = tenant_id, message_id
        future: Future[bytes] = Future()
        with self._turn:
            self._waiting.setdefault(key, []).append(future)
            early = key in self._early
        if early:
            # Not here, where messages are received.
            self._looking.submit(self._look, [key])
        return future

    @property
    def waiting(self) -> int:
        """Of how many messages somebody waits."""
        return len(self._waiting)

    def leave(self, tenant_id: int, message_id: int, future: Future[bytes]) -> None:
        """Wait no more."""
        with self._turn:
            waiting = self._waiting.get((tenant_id, message_id), [])
            if future in waiting:
                waiting.remove(future)
            if not waiting:
                self._waiting.pop((tenant_id, message_id), None)

    def _work(self) -> None:
        while not self._ended.is_set():
            try:
                for told in notices(self._database, SETTLED, self._seconds):
                    if self._ended.is_set():
                        return
                    self.listening.set()
                    # Without news everybody who waits is asked about: what was told to nobody is found so.
                    self._heard([_key(one) for one in told] if told else None)
            except (Lost, FhirError) as error:
                self.listening.clear()
                logger.warning("messages that are settled are not heard of", exc_info=error)
                self._ended.wait(self._seconds)

    def _heard(self, keys: list[Key] | None) -> None:
        with self._turn:
            if keys is None:
                asked = list(self._waiting)
            else:
                asked = [key for key in keys if key in self._waiting]
                for key in keys:
                    self._early[key] = None
                while len(self._early) > _REMEMBERED:
                    self._early.popitem(last=False)
        if asked:
            self._look(asked)

    def _look(self, keys: list[Key]) -> None:
        by_tenant: dict[int, list[int]] = {}
        for tenant_id, number in keys:
            by_tenant.setdefault(tenant_id, []).append(number)
        for tenant_id, numbers in by_tenant.items():
            (result,) = self._database.look(tenant_id, [hl7_found.settling(tenant_id, numbers)])
            found = hl7_found.acknowledgments(result)
            with self._turn:
                told = [
                    (future, acknowledgment)
                    for number, acknowledgment in found.items()
                    for future in self._waiting.pop((tenant_id, number), [])
                ]
            for future, acknowledgment in told:
                if future.set_running_or_notify_cancel():
                    future.set_result(acknowledgment)


def _key(payload: str) -> Key:
    tenant_id, _, number = payload.partition(" ")
    return int(tenant_id), int(number)
