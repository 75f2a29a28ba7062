"""The patients of a clinic whom a message names, for the audit trail. docs/audit.md"""

from __future__ import annotations

from collections.abc import Sequence

from fhir_server.access.policy import Access
from fhir_server.interactions.context import Context
from fhir_server.store import identified
from fhir_server.store.store import Store
from hl7_gateway.deliver import Desk, feed_principal
from hl7_gateway.feed import Feed
from hl7_gateway.message import Message
from hl7_gateway.patients import MOST, named
from hl7_gateway.reading import Read, read


def patient_ids(store: Store, desk: Desk, message: Message | None, feed: Feed | None) -> tuple[str, ...]:
    """The ids of the patients of the clinic whom a message of a feed names."""
    if message is None or feed is None:
        return ()
    return known(store, desk, sorted(named(message, feed.mapping))[:MOST])


def patients_in(store: Store, desk: Desk, raw: bytes, feed: Feed | None) -> tuple[str, ...]:
    """The same for the bytes of a message."""
    found = read(feed, raw) if feed is not None else None
    return patient_ids(store, desk, found.message if isinstance(found, Read) else None, feed)


def known(store: Store, desk: Desk, identifiers: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """The ids of the patients who have one of these identifiers (system, value)."""
    wanted = [identified.Wanted("Patient", system, value, locked=False) for system, value in identifiers]
    if not wanted:
        return ()
    context = Context(desk.tenant, feed_principal("console", desk.tenant.slug), Access(()), store, desk.base_url)
    access = context.decide("update", None)
    found = store.within(lambda c: identified.find(c, store.tenant_id, store.hasher, access, wanted))
    return tuple(sorted({one.id for several in found for one in several}))
