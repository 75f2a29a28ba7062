"""Dead letters replayed or dropped by somebody at a page, in the transaction that records it. docs/audit.md"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from fhir_server.audit.drain import row_of
from fhir_server.console.visit import Visit
from fhir_server.store import audit, hl7_found
from fhir_server.store.hl7_found import Replay
from fhir_server.store.session import Connection
from hl7_gateway.console.office import Office

TOGETHER = 100
"""How many messages are changed in one transaction, and named by one record."""


def replay(office: Office, asked: Sequence[Replay], patient_ids: tuple[str, ...] = ()) -> dict[int, int]:
    """Have dead letters converted again: number before -> number after, without those that are none any more."""

    def work(connection: Connection) -> dict[int, int]:
        now = time.time_ns() // 1000
        done: dict[int, int] = {}
        for one in asked:
            number = hl7_found.replay(connection, office.tenant_id, one, now)
            if number is not None:
                done[one.id] = number
        if done:
            corrected = {str(before): after for before, after in done.items() if before != after}
            named = tuple(sorted({*done, *done.values()}))
            _record(office, connection, "hl7-replay", messages=named, patient_ids=patient_ids, detail=corrected)
        return done

    return office.database.transaction(office.tenant_id, work)


def drop(office: Office, numbers: Sequence[int], reason: str) -> list[int]:
    """Close dead letters for the reason that somebody gives; the numbers of those that were dead letters."""

    def work(connection: Connection) -> list[int]:
        gone = hl7_found.drop(connection, office.tenant_id, numbers, time.time_ns() // 1000, reason)
        if gone:
            _record(office, connection, "hl7-drop", messages=tuple(gone), reason=reason)
        return gone

    return office.database.transaction(office.tenant_id, work)


def _record(office: Office, connection: Connection, kind: str, **values: Any) -> None:
    # Last, for whoever appends to the clinic's chain waits for this transaction from here on.
    visit: Visit = office.visit
    audit.append(connection, office.tenant_id, [row_of(visit.event(kind, **values), office.hasher)])
