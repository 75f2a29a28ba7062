"""A clinic with a feed, messages that are kept without a wire, and what becomes of them."""

from __future__ import annotations

from typing import Any

from fhir_server.store import hl7_feeds, hl7_found, hl7_messages
from fhir_server.store.hl7_found import Found, Wanted, Whole
from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from hl7_gateway.answers import taken
from hl7_gateway.feed import Feed
from hl7_gateway.feeds import Feeds
from hl7_gateway.reading import Read, incoming, read
from hl7_gateway.stored_maps import loader
from hl7_gateway.wire import client
from hl7_gateway.wire.client import Answer
from hl7_gateway.worker import Worker
from tests.functional.hl7.gateway import Gateway, hasher, message


class Ward:
    """A tenant with a feed, messages that are kept without a wire, and what became of them."""

    def __init__(self, database: Database, tenant: Tenant, **feed: Any) -> None:
        self.database = database
        self.tenant = tenant
        self.hasher = hasher(database)
        made = database.transaction(tenant.id, lambda c: hl7_feeds.add(c, tenant.id, "lab", feed, 5))
        assert made is not None
        self.feed_id = made
        self.feeds = Feeds(database, maps=loader(database, self.hasher))
        self.feeds.refresh()

    def keep(self, *raws: bytes) -> None:
        (feed,) = [feed for feed in self.feeds.all if feed.tenant_id == self.tenant.id]
        told = []
        for raw in raws:
            found = read(feed, raw)
            assert isinstance(found, Read)
            assert found.message is not None
            later = feed.acknowledgment == "commit"
            told.append(incoming(found, self.hasher, taken(found.message, later=later)))
        self.database.transaction(self.tenant.id, lambda c: hl7_messages.keep(c, self.tenant.id, told, 7))

    def keep_bytes(self, feed: Feed, raw: bytes) -> None:
        """Keep what is no message."""
        found = read(feed, raw)
        assert isinstance(found, Read)
        told = [incoming(found, self.hasher, b"")]
        self.database.transaction(self.tenant.id, lambda c: hl7_messages.keep(c, self.tenant.id, told, 7))

    def worker(self, **options: Any) -> Worker:
        return Worker(self.database, self.hasher, self.feeds, lambda slug: f"http://localhost/t/{slug}/fhir", **options)

    def work(self, **options: Any) -> int:
        """Have all that waits delivered; how many."""
        worker, total = self.worker(**options), 0
        while done := worker.once(self.tenant.id):
            total += done
        return total

    def found(self, **wanted: Any) -> list[Found]:
        number = self.tenant.id
        return self.database.transaction(number, lambda c: hl7_found.listed(c, number, Wanted(**wanted), 1_000))[::-1]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.database.transaction(self.tenant.id, lambda c: c.execute(sql).fetchall())

    def encounters(self) -> dict[str, str]:
        """Status by the visit number."""
        rows = self.rows(
            "SELECT body -> 'identifier' -> 0 ->> 'value', body ->> 'status' FROM resource r"
            " WHERE jsonb_path_exists(body, '$.class') AND NOT deleted"
        )
        return {number: status for number, status in rows if number}

    def whole(self, number: int) -> Whole:
        found = self.database.transaction(self.tenant.id, lambda c: hl7_found.whole(c, self.tenant.id, number))
        assert found is not None
        return found

    def raw(self, number: int) -> bytes:
        """A message as it came."""
        return self.whole(number).raw

    def answer(self, control_id: str) -> Answer:
        """What is answered to a message when it comes again."""
        (found,) = self.found(control_id=control_id)
        return client.read(self.whole(found.id).acknowledgment)


def worker_of(gateway: Gateway) -> Worker:
    """A worker for what a gateway has received."""
    base = "http://localhost/t/{}/fhir"
    return Worker(gateway.database, gateway.hasher, gateway.feeds, base.format)


def visit(control_id: str, event: str, patient: str) -> bytes:
    return message(control_id, event, patient, rest=f"PV1|1|I|W^1^A||||||||||||||||V{patient}\r")
