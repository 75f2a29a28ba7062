"""One thing that happened, as the audit trail keeps it. https://hl7.org/fhir/R4/auditevent.html

The JSON of an event is what the chain's hashes are made of: fields stand in the order of their declaration, those that
have nothing to say are left out.
"""

from __future__ import annotations

import os
import time
from typing import Any

import msgspec

SUCCESS, REFUSED, FAILED, UNKNOWN = "0", "4", "8", "12"
"""Outcomes: done; refused or impossible; the server failed; a write of which nobody knows whether it was done.

https://hl7.org/fhir/R4/valueset-audit-event-outcome.html
"""


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event. Times are microseconds since 1970, ``id`` a UUIDv7 of the time (`new_id`).

    ``tenant_id`` is 0 for what concerns no clinic. ``kind`` is one of audit.codes.CODES, ``outcome`` one of those
    above, ``status`` the HTTP status. The agent is ``subject``, ``client_id``, ``roles``, ``fhir_user``, ``grant`` and
    ``address``, as in access.principal. ``resource_type``, ``resource_id`` and ``query`` (method and URL below the
    base) say what was asked; ``before`` and ``after`` are the versions of a write, ``written`` the (type, id, before,
    after) of several. ``patients`` are the keys and ``patient_ids`` the ids of those whose data was in the answer.
    ``messages`` are the numbers of messages of HL7 v2 that were converted, shown or changed (docs/hl7.md).
    ``decision`` names an access decision; ``reason`` is why it was refused, or what the person said; ``detail``
    anything more.
    """

    id: str
    tenant_id: int
    at: int
    kind: str
    outcome: str = SUCCESS
    status: int = 0
    subject: str = ""
    client_id: str = ""
    roles: tuple[str, ...] = ()
    fhir_user: str = ""
    grant: str = ""
    address: str = ""
    request_id: str = ""
    decision: str = ""
    resource_type: str = ""
    resource_id: str = ""
    query: str = ""
    before: int = 0
    after: int = 0
    written: tuple[tuple[str, str, int, int], ...] = ()
    patients: tuple[int, ...] = ()
    patient_ids: tuple[str, ...] = ()
    reason: str = ""
    detail: dict[str, Any] = {}
    messages: tuple[int, ...] = ()


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Event)

encode = _encoder.encode
"""The event as one line of JSON."""

decode = _decoder.decode
"""An event from its JSON. Raises msgspec.DecodeError."""


def now() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


def new_id(at: int) -> str:
    """A UUIDv7 that sorts by the microsecond ``at``, unlike any other. https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-7"""
    return _uuid(at, int.from_bytes(os.urandom(8)) >> 2)


def floor_id(at: int) -> str:
    """The least id that an event of the microsecond ``at`` can have."""
    return _uuid(at, 0)


def _uuid(at: int, rest: int) -> str:
    # 12 bits below the millisecond hold its microseconds (method 3 of the RFC), in steps of more than one.
    ms, us = divmod(at, 1000)
    text = f"{ms:012x}7{us * 4096 // 1000:03x}{(2 << 62) | rest:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
