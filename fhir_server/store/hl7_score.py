"""How much of what a feed sends is taken over, and which fields are not. docs/hl7.md, "What is not mapped" """

from __future__ import annotations

from dataclasses import dataclass

import psycopg


@dataclass(frozen=True, slots=True)
class Score:
    """Of the newest messages of a feed that are stored: how many, their bytes, and those that no rule reads.

    ``fields`` are places without the numbers of segments and repetitions (ZPI-3), with the number of messages that have
    something there, the most frequent first. ``warned`` counts messages of which a value was not taken over as sent.
    """

    messages: int
    bytes_received: int
    bytes_unmapped: int
    warned: int
    fields: tuple[tuple[str, int], ...]

    @property
    def mapped(self) -> float:
        """The share of bytes that is taken over, from 0 to 1."""
        return 1 - self.bytes_unmapped / self.bytes_received if self.bytes_received else 1.0


_NEWEST = (
    "SELECT octet_length(m.raw) AS size, m.warnings FROM hl7_message m"
    " WHERE m.tenant_id = %s AND m.feed_id = %s AND m.state = 'stored' ORDER BY m.id DESC LIMIT %s"
)

_TOTALS = (
    f"WITH newest AS ({_NEWEST}) SELECT count(*), coalesce(sum(size), 0),"
    " coalesce(sum((warnings ->> 'bytes_unmapped')::bigint), 0),"
    " count(*) FILTER (WHERE jsonb_array_length(warnings -> 'warnings') > 0) FROM newest"
)

_FIELDS = (
    f"WITH newest AS ({_NEWEST}), said AS (SELECT row_number() OVER () AS number, warnings FROM newest)"
    r" SELECT regexp_replace(place, '\[\d+\]', '', 'g') AS field, count(DISTINCT number)"
    " FROM said CROSS JOIN LATERAL jsonb_array_elements_text(warnings -> 'unmapped') place"
    " GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %s"
)


def score(connection: psycopg.Connection, tenant_id: int, feed_id: int, newest: int, most: int = 100) -> Score:
    """The score of a feed by its ``newest`` messages, with at most ``most`` fields, in a transaction of the tenant."""
    row = connection.execute(_TOTALS, [tenant_id, feed_id, newest]).fetchone()
    messages, received, unmapped, warned = row if row is not None else (0, 0, 0, 0)
    fields = connection.execute(_FIELDS, [tenant_id, feed_id, newest, most]).fetchall()
    found = tuple((str(place), int(number)) for place, number in fields)
    return Score(int(messages), int(received), int(unmapped), int(warned), found)
