"""Messages of feeds that number them: the number is kept with the message, in one transaction. docs/hl7.md

"Sequence number protocol", https://www.hl7.eu/HL7v2x/v281/std281/ch02.html
"""

from __future__ import annotations

from collections.abc import Container, Sequence

import psycopg

from fhir_server.store.hl7_incoming import Incoming

ANY = -1
"""What is expected before the first message, and once a sender has begun anew: whichever number comes is the first."""

_EXPECTED = "SELECT feed_id, expected FROM hl7_sequence WHERE tenant_id = %s AND feed_id = ANY(%s)"


def admitted(
    connection: psycopg.Connection, tenant_id: int, many: Sequence[Incoming], known: Container[tuple[int, bytes]]
) -> dict[int, int]:
    """By place those of messages that are not to be kept, with the number that is expected.

    They are queries, and those that have another number than the next one of their feed. ``known`` has feed and
    fingerprint of those that came before, whose numbers do not matter any more: ask for it after `lock`.
    """
    before = _rows(connection, tenant_id, _numbering(many))
    expected, turned = dict(before), {}
    for place, one in enumerate(many):
        number, due = one.sequence, expected.get(one.feed_id, ANY)
        if number is None or (one.feed_id, one.fingerprint) in known:
            continue
        if number == ANY:
            expected[one.feed_id] = turned[place] = ANY
        elif number > 0 and due in (ANY, number):
            expected[one.feed_id] = number + 1
        else:
            turned[place] = due
    for feed, number in expected.items():
        if number != before[feed]:
            expect(connection, tenant_id, feed, number)
    return turned


def lock(connection: psycopg.Connection, tenant_id: int, many: Sequence[Incoming]) -> bool:
    """Whether any of these messages is numbered; whoever keeps more of their feeds waits for this transaction's end."""
    feeds = _numbering(many)
    if not feeds:
        return False
    if len(_rows(connection, tenant_id, feeds)) < len(feeds):
        connection.execute(
            "INSERT INTO hl7_sequence (tenant_id, feed_id) SELECT %s, f FROM unnest(%s::int[]) f ORDER BY f"
            " ON CONFLICT DO NOTHING",
            [tenant_id, feeds],
        )
        _rows(connection, tenant_id, feeds)
    return True


def _numbering(many: Sequence[Incoming]) -> list[int]:
    return sorted({one.feed_id for one in many if one.sequence is not None})


def _rows(connection: psycopg.Connection, tenant_id: int, feeds: list[int]) -> dict[int, int]:
    return dict(connection.execute(f"{_EXPECTED} ORDER BY feed_id FOR UPDATE".encode(), [tenant_id, feeds]).fetchall())


def expected(connection: psycopg.Connection, tenant_id: int, feed_id: int) -> int:
    """The number that the next message of a feed must have, in a transaction of its tenant; ANY where it may be any."""
    return all_expected(connection, tenant_id, [feed_id]).get(feed_id, ANY)


def all_expected(connection: psycopg.Connection, tenant_id: int, feeds: list[int]) -> dict[int, int]:
    """The same of several feeds; those are left out of which it may be any from the beginning."""
    return dict(connection.execute(_EXPECTED, [tenant_id, feeds]).fetchall())


def expect(connection: psycopg.Connection, tenant_id: int, feed_id: int, number: int) -> None:
    """Have the next message of a feed have this number, or ANY, in a transaction of its tenant."""
    connection.execute(
        "INSERT INTO hl7_sequence (tenant_id, feed_id, expected) VALUES (%s, %s, %s)"
        " ON CONFLICT (tenant_id, feed_id) DO UPDATE SET expected = excluded.expected",
        [tenant_id, feed_id, number],
    )
