"""What somebody has to know of a feed: raised once, kept until it is cleared, and told. docs/hl7.md, "Alerts" """

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import psycopg

SILENT, WAITING, QUEUE, DEAD, SEQUENCE, UNUSABLE = "silent", "waiting", "queue", "dead", "sequence", "unusable"

CONDITIONS: Final = (SILENT, WAITING, QUEUE, DEAD, SEQUENCE, UNUSABLE)
"""No message for too long, one that waits too long, too many that wait, dead letters, numbers out of step, a
configuration that cannot be used."""

ATTEMPTS: Final = 30
"""How often an alert is told to somebody who does not answer: for about a day."""

_LATEST: Final = 20_000


@dataclass(frozen=True, slots=True)
class Seen:
    """Whether a condition holds for a feed; what is not known is not said. ``amount`` is in seconds or messages.

    With ``grows`` more of it is news again for somebody who has acknowledged less.
    """

    feed_id: int
    feed: str
    condition: str
    holds: bool
    amount: int = 0
    grows: bool = False


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as it is stored. Times are microseconds since 1970 UTC, 0 for not yet."""

    id: int
    feed_id: int
    feed: str
    condition: str
    amount: int
    raised: int
    cleared: int
    acknowledged: int
    acknowledged_by: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has become of the alerts of a tenant, and those that are open now. ``untold``: some are to be told."""

    raised: list[Alert]
    cleared: list[Alert]
    open: list[Alert]
    untold: bool


_COLUMNS = "id, feed_id, feed, condition, amount, raised, cleared, acknowledged, acknowledged_by"

_RAISE = f"""
INSERT INTO hl7_alert (tenant_id, feed_id, feed, condition, amount, raised, next_attempt)
SELECT %s, x.feed_id, x.feed, x.condition, x.amount, %s, %s
  FROM unnest(%s::int[], %s::text[], %s::text[], %s::bigint[]) AS x(feed_id, feed, condition, amount)
ON CONFLICT (tenant_id, feed_id, condition) WHERE cleared = 0 DO NOTHING RETURNING {_COLUMNS}
"""

_GROW = """
UPDATE hl7_alert a SET amount = x.amount, amount_acknowledged = least(a.amount_acknowledged, x.amount),
       acknowledged = CASE WHEN x.amount > a.amount_acknowledged THEN 0 ELSE a.acknowledged END,
       acknowledged_by = CASE WHEN x.amount > a.amount_acknowledged THEN '' ELSE a.acknowledged_by END,
       next_attempt = CASE WHEN a.acknowledged > 0 AND x.amount > a.amount_acknowledged THEN %s ELSE a.next_attempt END,
       attempts = CASE WHEN a.acknowledged > 0 AND x.amount > a.amount_acknowledged THEN 0 ELSE a.attempts END,
       noted = a.noted + (a.acknowledged > 0 AND x.amount > a.amount_acknowledged)::int
  FROM unnest(%s::bigint[], %s::bigint[]) AS x(id, amount) WHERE a.tenant_id = %s AND a.id = x.id AND a.cleared = 0
"""

_CLEAR = f"""
UPDATE hl7_alert a SET cleared = %s, next_attempt = %s, attempts = 0, noted = noted + 1
 WHERE tenant_id = %s AND cleared = 0 AND (id = ANY(%s::bigint[]) OR NOT EXISTS (
       SELECT FROM hl7_feed f WHERE f.tenant_id = a.tenant_id AND f.id = a.feed_id)) RETURNING {_COLUMNS}
"""


def observe(
    connection: psycopg.Connection,
    tenant_id: int,
    seen: Sequence[Seen],
    now: int,
    *,
    tell: bool = False,
    before: Sequence[Alert] | None = None,
) -> Outcome:
    """Raise and clear alerts by what is seen of feeds, in a transaction of their tenant; those that stay are left be.

    Where ``tell``, what is raised or cleared is told outside: see `due`. Alerts of feeds that are gone are cleared.
    ``before`` are those that were open in this transaction, where that is known.
    """
    if before is None:
        before = listed(connection, tenant_id)
    known = {(one.feed_id, one.condition): one for one in before}
    due = now if tell else 0
    new = [one for one in seen if one.holds and (one.feed_id, one.condition) not in known]
    raised, gone = [], []
    if new:
        columns = ([getattr(one, name) for one in new] for name in ("feed_id", "feed", "condition", "amount"))
        raised = [Alert(*row) for row in connection.execute(_RAISE.encode(), [tenant_id, now, due, *columns])]
    more: dict[int, int] = {}
    for one in seen:
        alert = known.get((one.feed_id, one.condition))
        if alert is not None and not one.holds:
            gone.append(alert.id)
        elif alert is not None and one.grows and one.amount != alert.amount:
            more[alert.id] = one.amount
    if more:
        connection.execute(_GROW, [due, list(more), list(more.values()), tenant_id])
    cleared: list[Alert] = []
    if known:
        cleared = [Alert(*row) for row in connection.execute(_CLEAR.encode(), [now, due, tenant_id, gone])]
    after = listed(connection, tenant_id) if raised or cleared or more else list(before)
    return Outcome(raised, cleared, after, tell and _untold(connection, tenant_id, now))


def _untold(connection: psycopg.Connection, tenant_id: int, now: int) -> bool:
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM hl7_alert WHERE tenant_id = %s AND next_attempt BETWEEN 1 AND %s)",
        [tenant_id, now],
    ).fetchone()
    return bool(row and row[0])


def latest(connection: psycopg.Connection, tenant_id: int, feeds: Sequence[int]) -> dict[int, int]:
    """When the last message of each feed came to any process (microseconds), in a transaction of the tenant.

    As far as it is among the tenant's newest messages: the work stays the same however many there are.
    """
    rows = connection.execute(
        "SELECT feed_id, max(received) FROM (SELECT feed_id, received FROM hl7_message WHERE tenant_id = %s"
        " ORDER BY id DESC LIMIT %s) newest WHERE feed_id = ANY(%s::int[]) GROUP BY feed_id",
        [tenant_id, _LATEST, list(feeds)],
    )
    return dict(rows.fetchall())


def listed(
    connection: psycopg.Connection, tenant_id: int, *, all_of_them: bool = False, most: int | None = None
) -> list[Alert]:
    """Alerts that are open, or ``all_of_them``, in a transaction of their tenant; the newest first."""
    which = "" if all_of_them else " AND cleared = 0"
    statement = f"SELECT {_COLUMNS} FROM hl7_alert WHERE tenant_id = %s{which} ORDER BY id DESC LIMIT %s"
    return [Alert(*row) for row in connection.execute(statement.encode(), [tenant_id, most])]


def acknowledge(connection: psycopg.Connection, tenant_id: int, number: int | None, by: str, now: int) -> int:
    """Note who has seen one open alert, or all of them, in a transaction of their tenant; how many nobody had seen."""
    return connection.execute(
        "UPDATE hl7_alert SET acknowledged = %s, acknowledged_by = %s, amount_acknowledged = amount"
        " WHERE tenant_id = %s AND id = coalesce(%s, id) AND cleared = 0 AND acknowledged = 0",
        [now, by, tenant_id, number],
    ).rowcount


@dataclass(frozen=True, slots=True)
class Due:
    """An alert that is to be told. ``noted`` says which of its changes, ``attempts`` how often it was tried so far."""

    alert: Alert
    noted: int
    attempts: int


_DUE = f"""
UPDATE hl7_alert a SET next_attempt = %s, attempts = a.attempts + 1
  FROM (SELECT id AS chosen FROM hl7_alert WHERE tenant_id = %s AND next_attempt BETWEEN 1 AND %s
         ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED) x
 WHERE a.tenant_id = %s AND a.id = x.chosen RETURNING {_COLUMNS}, noted, attempts
"""


def due(connection: psycopg.Connection, tenant_id: int, now: int, until: int, most: int) -> list[Due]:
    """Take alerts that are to be told, in a transaction of their tenant; nobody else takes them before ``until``."""
    rows = connection.execute(_DUE.encode(), [until, tenant_id, now, most, tenant_id]).fetchall()
    return sorted((Due(Alert(*row[:-2]), row[-2], row[-1]) for row in rows), key=lambda one: one.alert.id)


def told(connection: psycopg.Connection, tenant_id: int, one: Due, again: int) -> None:
    """Note that an alert was told, or is to be tried ``again`` (0: never), unless there is more to tell by now."""
    connection.execute(
        "UPDATE hl7_alert SET next_attempt = %s WHERE tenant_id = %s AND id = %s AND noted = %s",
        [0 if one.attempts >= ATTEMPTS else again, tenant_id, one.alert.id, one.noted],
    )
