"""Alerts told to another system: a POST of JSON for each that is raised or cleared. docs/hl7.md, "Alerts" """

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from fhir_server.authn.outbound import Outbound, OutboundError
from fhir_server.errors import FhirError
from fhir_server.store import directory, hl7_alerts
from fhir_server.store.hl7_alerts import Alert, Due
from fhir_server.store.session import Connection, Database
from hl7_gateway.alerts import sentence

logger = logging.getLogger(__name__)

MOST: Final = 20
"""How many alerts are taken at once: nobody else tries them while each may take as long as an answer may."""

_SECOND: Final = 1_000_000
_TAKEN: Final = 300 * _SECOND
_FIRST: Final = 15 * _SECOND
_LONGEST: Final = 3_600 * _SECOND


class Caller:
    """Tells alerts to ``url`` from a thread of its own, again and again for about a day while nobody answers 2xx.

    An alert may be told twice where an answer was lost: ``id`` and ``state`` tell.
    """

    def __init__(self, database: Database, outbound: Outbound, url: str) -> None:
        self._database = database
        self._outbound = outbound
        self._url = url
        self._tenants: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._waiting: set[int] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="hl7-alerts", daemon=True)

    def start(self) -> None:
        """Begin to tell."""
        self._thread.start()

    def close(self) -> None:
        """Tell no more but what is under way; the rest is told by whoever comes after."""
        self._ended.set()
        self._tenants.put(None)
        self._thread.join()

    def tell(self, tenant_id: int) -> None:
        """A tenant has alerts that are to be told."""
        if tenant_id not in self._waiting:
            self._waiting.add(tenant_id)
            self._tenants.put(tenant_id)

    def _work(self) -> None:
        while (tenant_id := self._tenants.get()) is not None and not self._ended.is_set():
            self._waiting.discard(tenant_id)
            try:
                self.once(tenant_id)
            except FhirError as error:
                logger.warning("alerts cannot be read just now", exc_info=error)

    def once(self, tenant_id: int) -> int:
        """Tell what is due of a tenant; how many were told. Raises Unavailable."""
        slug = next((slug for slug, number in directory.all_tenants(self._database) if number == tenant_id), "")
        now = time.time_ns() // 1_000
        found = self._database.transaction(tenant_id, partial(_due, tenant_id, now))
        told = 0
        for one in found:
            if self._ended.is_set():
                self._database.transaction(tenant_id, partial(_told, tenant_id, one, now))
                continue
            reason = self._post(document(slug, one.alert))
            if reason:
                extra = {"alert": one.alert.id, "attempt": one.attempts, "reason": reason}
                logger.warning("an alert could not be told", extra=extra)
            told += not reason
            again = time.time_ns() // 1_000 + pause(one.attempts) if reason else 0
            self._database.transaction(tenant_id, partial(_told, tenant_id, one, again))
        return told

    def _post(self, body: dict[str, Any]) -> str:
        """Why it was not taken, in a word; "" where it was."""
        headers = [("Content-Type", "application/json")]
        try:
            answer = self._outbound.fetch(
                self._url, accept="*/*", data=json.dumps(body, ensure_ascii=False).encode(), headers=headers
            )
        except OutboundError as error:
            return error.reason
        return "" if 200 <= answer.status < 300 else f"status {answer.status}"


def pause(attempts: int) -> int:
    """Microseconds from one attempt to the next, after so many."""
    return min(_FIRST << min(attempts - 1, 20), _LONGEST)


def document(slug: str, alert: Alert) -> dict[str, Any]:
    """What is told of an alert: names of clinic and feed, numbers and times, nothing that was sent."""
    state = "cleared" if alert.cleared else "raised"
    text = f"{slug}/{alert.feed}: {sentence(alert)}"
    told = {
        "id": alert.id,
        "state": state,
        "clinic": slug,
        "feed": alert.feed,
        "condition": alert.condition,
        "amount": alert.amount,
        "raised": _time(alert.raised),
        "text": f"Cleared: {text}" if alert.cleared else text,
    }
    return told | ({"cleared": _time(alert.cleared)} if alert.cleared else {})


def _time(microseconds: int) -> str:
    moment = datetime.fromtimestamp(microseconds / _SECOND, UTC)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _due(tenant_id: int, now: int, connection: Connection) -> list[Due]:
    return hl7_alerts.due(connection, tenant_id, now, now + _TAKEN, MOST)


def _told(tenant_id: int, one: Due, again: int, connection: Connection) -> None:
    hl7_alerts.told(connection, tenant_id, one, again)
