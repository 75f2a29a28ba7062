"""How feeds are doing, in numbers: what waits, what is dead, what came lately. docs/hl7.md, "On a page" """

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import psycopg

from fhir_server.store.hl7_found import dead_letters, depths

NEWEST = 10_000
"""How many of a clinic's newest messages are counted: the work stays the same however many there are."""

HOUR = 3_600 * 1_000_000
DAY = 24 * HOUR


@dataclass(slots=True)
class Traffic:
    """What a feed has sent, in numbers. Times are microseconds since 1970 UTC, 0 for none.

    ``waiting`` and ``dead`` are all that there are; ``states``, ``hour`` (messages of the last hour), ``day`` and
    ``day_dead`` (those of a day that are dead letters) count among the clinic's newest messages, and ``last`` is when
    the last of them came.
    """

    waiting: int = 0
    oldest: int = 0
    dead: int = 0
    last: int = 0
    hour: int = 0
    day: int = 0
    day_dead: int = 0
    states: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Overview:
    """Every feed that has sent anything, by its number. ``counted`` messages were looked at, since ``since``."""

    feeds: Mapping[int, Traffic]
    counted: int
    since: int

    @property
    def states(self) -> Mapping[str, int]:
        """The counted messages by their state."""
        total: dict[str, int] = {}
        for one in self.feeds.values():
            for state, number in one.states.items():
                total[state] = total.get(state, 0) + number
        return total

    @property
    def oldest(self) -> int:
        """When the oldest message that waits came, 0 where none does."""
        return min((one.oldest for one in self.feeds.values() if one.waiting), default=0)


_COUNT = (
    "WITH newest AS (SELECT m.feed_id, m.state, m.received FROM hl7_message m WHERE m.tenant_id = %s"
    " ORDER BY m.id DESC LIMIT %s)"
    " SELECT feed_id, state, count(*), max(received), min(received), count(*) FILTER (WHERE received >= %s),"
    " count(*) FILTER (WHERE received >= %s) FROM newest GROUP BY feed_id, state"
)


def overview(connection: psycopg.Connection, tenant_id: int, now: int, newest: int = NEWEST) -> Overview:
    """How a tenant's feeds are doing, in a transaction of the tenant."""
    feeds: dict[int, Traffic] = {}
    counted, since = 0, now
    rows = connection.execute(_COUNT, [tenant_id, newest, now - HOUR, now - DAY])
    for feed_id, state, number, last, first, hour, day in rows:
        one = feeds.setdefault(feed_id, Traffic())
        one.states[state] = number
        one.last = max(one.last, last)
        one.hour += hour
        one.day += day
        if state == "dead":
            one.day_dead = day
        counted += number
        since = min(since, first)
    for depth in depths(connection, tenant_id):
        one = feeds.setdefault(depth.feed_id, Traffic())
        one.waiting, one.oldest = depth.waiting, depth.oldest
    for feed_id, number in dead_letters(connection, tenant_id).items():
        feeds.setdefault(feed_id, Traffic()).dead = number
    return Overview(feeds, counted, since)


def waiting_clinics(connection: psycopg.Connection) -> list[int]:
    """The tenants of which messages wait, outside of any tenant's transaction; it costs the same however many wait."""
    return [row[0] for row in connection.execute("SELECT tenant_id FROM hl7_waiting_clinics()")]


@dataclass(frozen=True, slots=True)
class Figures:
    """A feed in numbers: what waits and since when, dead letters, open alerts, and alerts that are to be told."""

    tenant_id: int
    feed_id: int
    waiting: int
    oldest: int
    dead: int
    alerts: int
    untold: int


def all_figures(connection: psycopg.Connection, now: int) -> list[Figures]:
    """The figures of all feeds of which there are any, outside of any tenant's transaction."""
    rows = connection.execute(
        "SELECT tenant_id, feed_id, waiting, oldest, dead, alerts, untold FROM hl7_all_figures(%s)", [now]
    )
    return [Figures(*row) for row in rows]
