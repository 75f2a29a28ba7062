"""What Prometheus sees of feeds. https://prometheus.io/docs/practices/naming/"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from fhir_server.store.hl7_alerts import CONDITIONS
from hl7_gateway.feed import Feed

_LABELS: Final = ("tenant", "feed")


class Metrics:
    """Counts of one process, and what waits in the database. Labels are names of clinics and feeds, nothing sent."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._received = Counter("hl7_messages", "Messages by answer.", (*_LABELS, "answer"), registry=self.registry)
        self._unknown = Counter("hl7_unknown_senders", "Messages that no feed takes.", registry=self.registry)
        self._last = Gauge("hl7_last_message_seconds", "When the last message came.", _LABELS, registry=self.registry)
        self._waiting = Gauge("hl7_waiting", "Messages that are not converted yet.", _LABELS, registry=self.registry)
        self._oldest = Gauge(
            "hl7_oldest_waiting_seconds", "When the oldest of them came; 0: none.", _LABELS, registry=self.registry
        )
        self._dead = Gauge("hl7_dead_letters", "Messages that somebody must look at.", _LABELS, registry=self.registry)
        self._alerts = Gauge("hl7_alerts", "1 while an alert is open.", (*_LABELS, "condition"), registry=self.registry)
        self._seen: dict[tuple[int, int], float] = {}
        self._out_of_step: dict[tuple[int, int], int] = {}
        # To find a counter by its labels costs more than to count.
        self._counters: dict[tuple[str, str], Counter] = {}

    def serve(self, host: str, port: int) -> None:
        """Answer Prometheus. Raises OSError where the port is taken."""
        start_http_server(port, host, self.registry)

    def came(self, feed: Feed, at: float) -> None:
        """A message came by a feed; ``at`` in seconds since 1970 UTC."""
        key = feed.tenant_id, feed.id
        if key not in self._seen:
            self._last.labels(feed.slug, feed.name).set_function(lambda: self._seen[key])
        self._seen[key] = at

    def last(self, feed: Feed) -> float | None:
        """When the last message of a feed came to this process."""
        return self._seen.get((feed.tenant_id, feed.id))

    def answered(self, feed: Feed, answer: str) -> None:
        """What became of a message: accepted, repeated, refused, failed."""
        key = feed.label, answer
        counter = self._counters.get(key)
        if counter is None:
            counter = self._counters[key] = self._received.labels(feed.slug, feed.name, answer)
        counter.inc()

    def step(self, feed: Feed, expected: int) -> None:
        """A numbered message came in its turn (0), or another number was ``expected``."""
        self._out_of_step[feed.tenant_id, feed.id] = expected

    def out_of_step(self, feed: Feed) -> int | None:
        """The number that was expected when the last one was another; 0: it was not, None: none came so far."""
        return self._out_of_step.get((feed.tenant_id, feed.id))

    def alerts(self, feed: Feed, open_ones: Iterable[str]) -> None:
        """The conditions of a feed that alerts are open for."""
        found = set(open_ones)
        for condition in CONDITIONS:
            self._alerts.labels(feed.slug, feed.name, condition).set(condition in found)

    def unknown(self) -> None:
        """A message came that no feed takes."""
        self._unknown.inc()

    def waits(self, feed: Feed, waiting: int, oldest: float, dead: int) -> None:
        """How things stand in the database; ``oldest`` in seconds since 1970 UTC."""
        self._waiting.labels(feed.slug, feed.name).set(waiting)
        self._oldest.labels(feed.slug, feed.name).set(oldest)
        self._dead.labels(feed.slug, feed.name).set(dead)
