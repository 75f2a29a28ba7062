"""Between which numbers the messages of a time stand: numbers rise with time, and times have no index. docs/hl7.md"""

from __future__ import annotations

from typing import Final

import psycopg

SLACK: Final = 86_400 * 1_000_000
"""By how many microseconds a message may be older than one of a lower number: a clock that was set, a process that
held a message. Within a day it is found all the same."""

_ENDS = "SELECT min(id), max(id) FROM hl7_message WHERE tenant_id = %s"
_FROM = "SELECT id, received FROM hl7_message WHERE tenant_id = %s AND id >= %s ORDER BY id LIMIT 1"


def span(
    connection: psycopg.Connection, tenant_id: int, since: int | None, until: int | None
) -> tuple[int | None, int | None]:
    """The least number of what came since a time, and one above those before another, in a transaction of the tenant.

    Times are microseconds since 1970 UTC. None where there is no such bound.
    """
    low, high = connection.execute(_ENDS, [tenant_id]).fetchone() or (None, None)
    if low is None:
        return None, None
    first = None if since is None else _first(connection, tenant_id, low, high, since - SLACK)
    last = None if until is None else _first(connection, tenant_id, low, high, until + SLACK)
    return first, last


def _first(connection: psycopg.Connection, tenant_id: int, low: int, high: int, at: int) -> int:
    """The first number whose message is not older than ``at``, or one above the last, by halving what is left."""
    high += 1
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(_FROM, [tenant_id, middle]).fetchone()
        if row is None or row[1] >= at:
            high = middle
        else:
            low = row[0] + 1
    return low
