"""How feeds are doing: what waits, which is silent, what somebody has to know. docs/hl7.md, "Alerts" """

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from fhir_server.errors import FhirError
from fhir_server.store import hl7_alerts, hl7_overview, hl7_sequences
from fhir_server.store.hl7_alerts import SEQUENCE, SILENT, UNUSABLE, Alert, Outcome, Seen
from fhir_server.store.hl7_overview import Figures
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
    """What has become of the alerts of a clinic, and by feed when the last message came to any process."""

    latest: dict[int, int]
    outcome: Outcome


class Watch:
    """Looks at all feeds once in PERIOD seconds, and raises and clears their alerts.

    One statement counts what all clinics have; only a clinic that has an alert, or may need one, has a transaction.
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
        try:
            counted = self._counted(at)
            for tenant_id in sorted(self._slugs):
                self._look_at(tenant_id, by_tenant.get(tenant_id, []), counted.get(tenant_id, {}), at)
        except FhirError as error:
            logger.warning("what waits cannot be counted just now", exc_info=error)

    def _counted(self, at: float) -> dict[int, dict[int, Figures]]:
        """The figures of all feeds, by tenant and number."""
        counted: dict[int, dict[int, Figures]] = {}
        for one in self._database.run(lambda c: hl7_overview.all_figures(c, int(at * 1e6)), read_only=True):
            counted.setdefault(one.tenant_id, {})[one.feed_id] = one
        return counted

    def _look_at(self, tenant_id: int, feeds: Sequence[Feed], counted: Mapping[int, Figures], at: float) -> None:
        looked = _Looked({}, Outcome([], [], [], untold=False))
        if self._telling(tenant_id, feeds, counted, at):
            work = partial(self._looked, tenant_id, feeds, counted, at)
            looked = self._database.transaction(tenant_id, work)
        open_ones = looked.outcome.open
        for feed in feeds:
            found = counted.get(feed.id)
            waiting, oldest, dead = (found.waiting, found.oldest / 1e6, found.dead) if found else (0, 0.0, 0)
            self._metrics.waits(feed, waiting, oldest, dead)
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

    def _telling(self, tenant_id: int, feeds: Sequence[Feed], counted: Mapping[int, Figures], at: float) -> bool:
        """Whether there is an alert of a clinic, open or to be told, or something that may have to become one."""
        if any(one.alerts or (one.untold and self._tell is not None) for one in counted.values()):
            return True
        if any(row.tenant_id == tenant_id for row in self._feeds.unusable):
            return True
        return any(
            self._doubtful(feed, at)
            or bool(self._metrics.out_of_step(feed))
            or any(one.holds for one in self._seen(feed, counted.get(feed.id), at))
            for feed in feeds
        )

    def _seen(
        self, feed: Feed, found: Figures | None, at: float, elsewhere: float = 0.0, expected: int | None = None
    ) -> list[Seen]:
        """What is to be said of a feed that has these figures."""
        waiting, dead = (found.waiting, found.dead) if found is not None else (0, 0)
        oldest = at - found.oldest / 1e6 if found is not None and waiting else 0.0
        return alerts.seen(feed, Standing(self._silence(feed, at, elsewhere), waiting, oldest, dead, expected))

    def _said(self, tenant_id: int, one: Alert) -> dict[str, object]:
        return {
            "feed": f"{self._slugs[tenant_id]}/{one.feed}",
            "alert": one.id,
            "condition": one.condition,
            "amount": one.amount,
        }

    def _looked(
        self,
        tenant_id: int,
        feeds: Sequence[Feed],
        counted: Mapping[int, Figures],
        at: float,
        connection: Connection,
    ) -> _Looked:
        before = hl7_alerts.listed(connection, tenant_id)
        told = {(one.feed_id, one.condition): one.amount for one in before}
        # Another process may have taken their messages.
        doubtful = [feed.id for feed in feeds if (feed.id, SILENT) not in told and self._doubtful(feed, at)]
        latest = hl7_alerts.latest(connection, tenant_id, doubtful) if doubtful else {}
        numbered = [feed.id for feed in feeds if feed.sequence]
        due = hl7_sequences.all_expected(connection, tenant_id, numbered) if numbered else {}
        seen: list[Seen] = []
        for feed in feeds:
            expected = self._expected(feed, due.get(feed.id, ANY), told.get((feed.id, SEQUENCE)))
            seen += self._seen(feed, counted.get(feed.id), at, latest.get(feed.id, 0) / 1e6, expected)
        unusable = {row.id: row.name for row in self._feeds.unusable if row.tenant_id == tenant_id}
        # Some of them are received all the same.
        seen = [one for one in seen if one.feed_id not in unusable or one.condition != UNUSABLE]
        seen += [alerts.unusable(number, name) for number, name in unusable.items()]
        micros, tell = int(at * 1e6), self._tell is not None
        outcome = hl7_alerts.observe(connection, tenant_id, seen, micros, tell=tell, before=before)
        return _Looked(latest, outcome)

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
