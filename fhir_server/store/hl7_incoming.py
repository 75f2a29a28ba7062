"""A message of HL7 v2 as it comes, and what becomes of it. docs/hl7.md, "Safe before it is acknowledged" """

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

RECEIVED, STORED, DEAD, DROPPED = "received", "stored", "dead", "dropped"

CAME, SETTLED = "hl7_came", "hl7_settled"
"""Channels of NOTIFY: a tenant's number when messages wait, "tenant message" when one is settled that is waited for."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message that came over the wire. ``patients`` are hashes of the identifiers that it names patients by.

    ``tokens`` are the same identifiers as the search index has them, ``keys`` those of the Patients that are made for
    them.
    ``problem`` is why it is a dead letter from the start: it is kept, and waits for nobody. ``sequence`` is its number,
    where its feed numbers messages: see `hl7_sequences`.
    """

    feed_id: int
    control_id: str
    message_type: str
    event: str
    structure: str
    application: str
    facility: str
    fingerprint: bytes
    raw: bytes
    acknowledgment: bytes
    patients: tuple[int, ...] = ()
    problem: dict[str, Any] | None = None
    sequence: int | None = None
    tokens: tuple[int, ...] = ()
    keys: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of an Incoming: its number, and the acknowledgment and state that it, or the same one before, has.

    It was not kept where ``expected`` is given: the number that was expected of the feed.
    """

    id: int
    new: bool
    state: str
    acknowledgment: bytes
    expected: int | None = None
