"""How feeds are doing: what waits of each, and which of them has fallen silent. docs/hl7.md, "Feeds" """

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from fhir_server.errors import FhirError
from fhir_server.store import hl7_found
from fhir_server.store.hl7_found import Depth
from fhir_server.store.session import Connection, Database
from hl7_gateway.feed import Feed
from hl7_gateway.feeds import Feeds
from hl7_gateway.metrics import Metrics

logger = logging.getLogger(__name__)

PERIOD: Final = 15.0


class Watch:
    """Looks at all feeds once in PERIOD seconds, and tells of a silent one once for each silence."""

    def __init__(
        self, database: Database, feeds: Feeds, metrics: Metrics, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._feeds = feeds
        self._metrics = metrics
        self._clock = clock
        self._begun = clock()
        self._due = 0.0
        self._silent: set[tuple[int, int]] = set()

    def look(self) -> None:
        """See how things stand, where the last look is longer ago than PERIOD."""
        at = self._clock()
        if at < self._due:
            return
        self._due = at + PERIOD
        for feed in self._feeds.all:
            self._listen(feed, at)
        try:
            self._count()
        except FhirError as error:
            logger.warning("what waits cannot be counted just now", exc_info=error)

    def _listen(self, feed: Feed, at: float) -> None:
        key = feed.tenant_id, feed.id
        last = self._metrics.last(feed) or self._begun
        if not feed.silent or feed.paused or at - last < feed.silent:
            self._silent.discard(key)
        elif key not in self._silent:
            self._silent.add(key)
            logger.warning("a feed is silent", extra={"feed": feed.label, "seconds": int(at - last)})

    def _count(self) -> None:
        by_tenant: dict[int, list[Feed]] = {}
        for feed in self._feeds.all:
            by_tenant.setdefault(feed.tenant_id, []).append(feed)
        for tenant_id, feeds in by_tenant.items():
            depths, dead = self._database.transaction(tenant_id, partial(_counted, tenant_id))
            for feed in feeds:
                depth = depths.get(feed.id)
                waiting, oldest = (depth.waiting, depth.oldest / 1e6) if depth is not None else (0, 0.0)
                self._metrics.waits(feed, waiting, oldest, dead.get(feed.id, 0))


def _counted(tenant_id: int, connection: Connection) -> tuple[dict[int, Depth], dict[int, int]]:
    depths = {depth.feed_id: depth for depth in hl7_found.depths(connection, tenant_id)}
    return depths, hl7_found.dead_letters(connection, tenant_id)
