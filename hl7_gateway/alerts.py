"""What somebody has to know of a feed, by what is seen of it. docs/hl7.md, "Alerts" """

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fhir_server.store.hl7_alerts import DEAD, QUEUE, SEQUENCE, SILENT, UNUSABLE, WAITING, Alert, Seen
from hl7_gateway.feed import Feed

_SENTENCES: Final = {
    SILENT: "no message has come for {amount:,} seconds",
    WAITING: "a message has waited for {amount:,} seconds to be converted",
    QUEUE: "messages that wait to be converted: {amount:,}",
    DEAD: "dead letters that somebody must look at: {amount:,}",
    SEQUENCE: "the sender's numbers are out of step, {amount} is expected",
    UNUSABLE: "its configuration cannot be used, its messages wait",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """How things stand with a feed.

    ``silent`` is for how many seconds nothing has come, None where that is not known; ``oldest`` for how many the
    oldest of ``waiting`` messages has waited. ``expected`` is the number that was expected in place of the last one, 0
    where that came since, None where neither is known.
    """

    silent: float | None
    waiting: int
    oldest: float
    dead: int
    expected: int | None


def seen(feed: Feed, standing: Standing) -> list[Seen]:
    """Which conditions hold for a feed, and which do not; of a paused one what is not meant by pausing it."""
    on = not feed.paused

    def one(condition: str, holds: bool, amount: float, *, grows: bool = False) -> Seen:
        return Seen(feed.id, feed.name, condition, holds, int(amount), grows)

    found = [
        one(WAITING, on and 0 < feed.waiting <= standing.oldest, standing.oldest),
        one(QUEUE, on and 0 < feed.queue <= standing.waiting, standing.waiting),
        one(DEAD, 0 < feed.dead <= standing.dead, standing.dead, grows=True),
        one(UNUSABLE, False, 0),
    ]
    if standing.silent is not None or not (on and feed.silent):
        silent = standing.silent or 0.0
        found.append(one(SILENT, on and 0 < feed.silent <= silent, silent))
    if standing.expected is not None or not feed.sequence:
        expected = standing.expected or 0
        found.append(one(SEQUENCE, feed.sequence and expected != 0, expected))
    return found


def unusable(number: int, name: str) -> Seen:
    """What is seen of a feed whose configuration cannot be used."""
    return Seen(number, name, UNUSABLE, True)


def sentence(alert: Alert) -> str:
    """What an alert says of its feed: "a message has waited for 300 seconds to be converted"."""
    return _SENTENCES[alert.condition].format(amount=alert.amount)
