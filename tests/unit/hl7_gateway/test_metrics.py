"""What Prometheus sees of feeds. https://prometheus.io/docs/practices/naming/"""

from __future__ import annotations

from fhir_server.store.hl7_feeds import FeedRow
from hl7_gateway.feed import Feed, parse
from hl7_gateway.metrics import Metrics


def feed(number: int, name: str) -> Feed:
    return parse(FeedRow(1, "riverside", number, name, False, 0, {}))


def test_each_feed_is_counted_by_itself() -> None:
    metrics, lab, adt = Metrics(), feed(1, "lab"), feed(2, "adt")
    assert metrics.last(lab) is None
    for one, answer, at in ((lab, "accepted", 5.0), (adt, "refused", 6.0), (lab, "accepted", 7.0)):
        metrics.came(one, at)
        metrics.answered(one, answer)
    metrics.unknown()
    metrics.waits(lab, 3, 4.0, 2)

    def told(name: str, one: Feed | None = None, **labels: str) -> float | None:
        own = {"tenant": one.slug, "feed": one.name} if one is not None else {}
        return metrics.registry.get_sample_value(name, own | labels)

    assert told("hl7_messages_total", lab, answer="accepted") == 2
    assert told("hl7_messages_total", adt, answer="refused") == 1
    assert told("hl7_messages_total", adt, answer="accepted") is None
    assert (told("hl7_last_message_seconds", lab), told("hl7_last_message_seconds", adt)) == (7, 6)
    assert (metrics.last(lab), told("hl7_unknown_senders_total")) == (7, 1)
    names = ("hl7_waiting", "hl7_oldest_waiting_seconds", "hl7_dead_letters")
    assert [told(name, lab) for name in names] == [3, 4, 2]
