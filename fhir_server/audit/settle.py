"""What became of a write whose process died before it could say. docs/audit.md, "Writes" """

from __future__ import annotations

import msgspec

from fhir_server.audit.event import UNKNOWN, Event
from fhir_server.crypto.hashing import Hasher
from fhir_server.store import audit
from fhir_server.store.session import Database

CLOCKS_APART_US = 60 * 1_000_000
"""How far the clock that stamped the intent may be ahead of the one that stamps versions."""

NOT_DONE = "The process ended before it answered; nothing was written."
PERHAPS = "The process ended before it answered; the versions in detail.versions were written since then."
NOBODY_KNOWS = "The process ended before it answered; whether it wrote anything is not known."


def settled(database: Database, hasher: Hasher, event: Event) -> Event:
    """The record of a write that has no outcome, with what the store tells of it.

    A version that was written since may be somebody else's: what may have been done counts as unknown. Raises
    Unavailable.
    """
    if not event.resource_type or not event.resource_id:
        return msgspec.structs.replace(event, outcome=UNKNOWN, reason=NOBODY_KNOWS)
    key = hasher(f"{event.resource_type}/{event.resource_id}")
    versions = audit.versions_since(database, event.tenant_id, key, event.at - CLOCKS_APART_US)
    return msgspec.structs.replace(
        event,
        outcome=UNKNOWN,
        reason=PERHAPS if versions else NOT_DONE,
        detail={**event.detail, "versions": versions},
    )
