"""A clinic's feeds and messages as its pages reach them, in one request. docs/hl7.md, "On a page" """

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from fhir_server.console.visit import Visit
from fhir_server.crypto.hashing import Hasher
from fhir_server.interactions.context import Tenant
from fhir_server.store import hl7_feeds, hl7_found
from fhir_server.store.hl7_feeds import FeedRow
from fhir_server.store.hl7_found import Found, Wanted, Whole
from fhir_server.store.store import Store
from hl7_gateway import concerned
from hl7_gateway.deliver import Desk
from hl7_gateway.feed import Feed, NotAFeed, parse
from hl7_gateway.message import Message
from hl7_gateway.stored_maps import with_maps

MESSAGES, FEEDS = "messages", "feeds"
"""Permissions of the map of roles: to see messages and work on them; to see how feeds are doing, in numbers."""


class Office:
    """What the pages of one visit work with."""

    def __init__(self, visit: Visit) -> None:
        self.visit = visit
        self.tenant_id = visit.tenant.id
        self.database = visit.services.database

    @cached_property
    def store(self) -> Store:
        """The clinic's store."""
        return self.visit.services.store_of(self.visit.tenant)

    @property
    def hasher(self) -> Hasher:
        """What makes hashes of identifiers."""
        return self.store.hasher

    @cached_property
    def rows(self) -> list[FeedRow]:
        """The clinic's feeds as they are stored."""
        return self.database.transaction(self.tenant_id, lambda c: hl7_feeds.listed(c, self.tenant_id))

    def name(self, feed_id: int) -> str:
        """What a feed is called, also one that was removed."""
        return next((row.name for row in self.rows if row.id == feed_id), f"feed {feed_id} (removed)")

    def feed(self, feed_id: int) -> Feed | None:
        """A feed that can be used; None for one that was removed or cannot.

        What is wrong with the ConceptMaps that it names is told by whatever converts a message.
        """
        row = next((row for row in self.rows if row.id == feed_id), None)
        try:
            return None if row is None else self.parsed(row)
        except NotAFeed:
            return None

    def parsed(self, row: FeedRow) -> Feed:
        """The feed of a row, with the ConceptMaps that it names as far as they can be used. Raises NotAFeed."""
        return with_maps(parse(row), self.desk.tenant, self.store)

    @cached_property
    def desk(self) -> Desk:
        """Where messages are delivered."""
        visit = self.visit
        base = f"{visit.services.settings.public_url}/t/{visit.slug}/fhir"
        return Desk(Tenant(self.tenant_id, visit.slug, visit.tenant.taken), base)

    def listed(self, wanted: Wanted, most: int, *, oldest: bool = False) -> list[Found]:
        """Messages without their content, the newest first or the ``oldest``."""
        number = self.tenant_id
        return self.database.transaction(number, lambda c: hl7_found.listed(c, number, wanted, most, oldest=oldest))

    def whole(self, number: int) -> Whole | None:
        """A message with its content; None where the clinic has none of this number."""
        return self.database.transaction(self.tenant_id, lambda c: hl7_found.whole(c, self.tenant_id, number))

    def patient_ids(self, message: Message | None, feed: Feed | None) -> tuple[str, ...]:
        """The patients of the clinic whom a message names, for the audit trail."""
        return concerned.patient_ids(self.store, self.desk, message, feed)

    def known(self, identifiers: Sequence[tuple[str, str]]) -> tuple[str, ...]:
        """The ids of the patients who have one of these identifiers (system, value)."""
        return concerned.known(self.store, self.desk, identifiers)

    def may_look(self) -> bool:
        """Whether the person may see messages, not only how many there are."""
        visit = self.visit
        return visit.services.permits(visit.somebody.roles, MESSAGES, visit.settings.narrowed)


def number_of(text: str) -> int | None:
    """The number of a message or feed in a path or a form; None for what is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None
