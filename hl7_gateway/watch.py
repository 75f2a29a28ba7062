"""How feeds are doing: what waits, which is silent, what somebody has to know. docs/hl7.md, "Alerts" """

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from fhir_server.errors import FhirError
from fhir_server.store import hl7_alerts, hl7_found, hl7_sequences
from fhir_server.store.hl7_alerts import SEQUENCE, SILENT, UNUSABLE, Alert, Outcome, Seen
from fhir_server.store.hl7_found import Depth
from fhir_server.store.hl7_sequences import ANY
from fhir_server.store.session import Connection, Database
from hl7_gateway import alerts
from hl7_gateway.alerts import Standing
from hl7_gateway.feed import Feed
from hl7_gateway.feeds import Feeds
from hl7_gateway.metrics import Metrics

logger = logging.getLogger(__name__)

PERIOD: Final = 15.0


@dataclass(frozen=True, slots=True)
class _Looked:
    """What one look at a clinic has found: by feed what waits, how many are dead, and when the last message came."""

    depths: dict[int, Depth]
    dead: dict[int, int]
    latest: dict[int, int]
    outcome: Outcome


class Watch:
    """Looks at all feeds once in PERIOD seconds, and raises and clears their alerts.

    ``tell`` is called with the tenants that have alerts which are to be told outside, where there is somebody to tell.
    """

    def __init__(
        self,
        database: Database,
        feeds: Feeds,
        metrics: Metrics,
        clock: Callable[[], float] = time.time,
        tell: Callable[[int], None] | None = None,
    ) -> None:
        self._database = database
        self._feeds = feeds
        self._metrics = metrics
        self._clock = clock
        self._tell = tell
        self._begun = clock()
        self._due = 0.0
        self._elsewhere: dict[tuple[int, int], float] = {}
        self._slugs: dict[int, str] = {}

    def look(self) -> None:
        """See how things stand, where the last look is longer ago than PERIOD."""
        at = self._clock()
        if at < self._due:
            return
        self._due = at + PERIOD
        by_tenant: dict[int, list[Feed]] = {}
        for feed in self._feeds.all:
            by_tenant.setdefault(feed.tenant_id, []).append(feed)
        # Those that had feeds: what was open is cleared.
        self._slugs |= {feed.tenant_id: feed.slug for feed in self._feeds.all}
        self._slugs |= {row.tenant_id: row.slug for row in self._feeds.unusable}
        for tenant_id in sorted(self._slugs):
            try:
                self._look_at(tenant_id, by_tenant.get(tenant_id, []), at)
            except FhirError as error:
                logger.warning("what waits cannot be counted just now", exc_info=error)
                return

    def _look_at(self, tenant_id: int, feeds: Sequence[Feed], at: float) -> None:
        looked = self._database.transaction(tenant_id, partial(self._looked, tenant_id, feeds, at))
        open_ones = looked.outcome.open
        for feed in feeds:
            depth = looked.depths.get(feed.id)
            waiting, oldest = (depth.waiting, depth.oldest / 1e6) if depth is not None else (0, 0.0)
            self._metrics.waits(feed, waiting, oldest, looked.dead.get(feed.id, 0))
            self._metrics.alerts(feed, (one.condition for one in open_ones if one.feed_id == feed.id))
        for number, received in looked.latest.items():
            self._elsewhere[tenant_id, number] = received / 1e6
        for one in looked.outcome.raised:
            logger.warning("an alert was raised", extra=self._said(tenant_id, one))
        for one in looked.outcome.cleared:
            logger.info("an alert was cleared", extra=self._said(tenant_id, one))
        if looked.outcome.untold and self._tell is not None:
            self._tell(tenant_id)
        if not feeds and not open_ones:
            del self._slugs[tenant_id]

    def _said(self, tenant_id: int, one: Alert) -> dict[str, object]:
        return {
            "feed": f"{self._slugs[tenant_id]}/{one.feed}",
            "alert": one.id,
            "condition": one.condition,
            "amount": one.amount,
        }

    def _looked(self, tenant_id: int, feeds: Sequence[Feed], at: float, connection: Connection) -> _Looked:
        depths = {depth.feed_id: depth for depth in hl7_found.depths(connection, tenant_id)}
        dead = hl7_found.dead_letters(connection, tenant_id)
        before = hl7_alerts.listed(connection, tenant_id)
        told = {(one.feed_id, one.condition): one.amount for one in before}
        # Another process may have taken their messages.
        doubtful = [feed.id for feed in feeds if (feed.id, SILENT) not in told and self._doubtful(feed, at)]
        latest = hl7_alerts.latest(connection, tenant_id, doubtful) if doubtful else {}
        numbered = [feed.id for feed in feeds if feed.sequence]
        due = hl7_sequences.all_expected(connection, tenant_id, numbered) if numbered else {}
        seen: list[Seen] = []
        for feed in feeds:
            depth = depths.get(feed.id)
            waiting, oldest = (depth.waiting, at - depth.oldest / 1e6) if depth is not None else (0, 0.0)
            silent = self._silence(feed, at, latest.get(feed.id, 0) / 1e6)
            expected = self._expected(feed, due.get(feed.id, ANY), told.get((feed.id, SEQUENCE)))
            seen += alerts.seen(feed, Standing(silent, waiting, oldest, dead.get(feed.id, 0), expected))
        unusable = {row.id: row.name for row in self._feeds.unusable if row.tenant_id == tenant_id}
        # Some of them are received all the same.
        seen = [one for one in seen if one.feed_id not in unusable or one.condition != UNUSABLE]
        seen += [alerts.unusable(number, name) for number, name in unusable.items()]
        micros, tell = int(at * 1e6), self._tell is not None
        outcome = hl7_alerts.observe(connection, tenant_id, seen, micros, tell=tell, before=before)
        return _Looked(depths, dead, latest, outcome)

    def _expected(self, feed: Feed, due: int, told: int | None) -> int | None:
        """The number that a sender is out of step with, as long as it is ``due``; 0: any process has taken it since."""
        expected = self._metrics.out_of_step(feed)
        if expected and expected == due:
            return expected
        return 0 if told is not None and told != due else None

    def _doubtful(self, feed: Feed, at: float) -> bool:
        silent = self._silence(feed, at, 0.0)
        return bool(feed.silent) and not feed.paused and silent is not None and silent >= feed.silent

    def _silence(self, feed: Feed, at: float, elsewhere: float) -> float | None:
        """For how many seconds nothing has come; None where it is too early to tell."""
        key = feed.tenant_id, feed.id
        last = max(self._metrics.last(feed) or 0.0, self._elsewhere.get(key, 0.0), elsewhere)
        if last:
            return at - last
        return at - self._begun if at - self._begun >= feed.silent else None
