"""What somebody looks for among messages, from a form or as their session keeps it: no URL names a patient.

docs/hl7.md, "On a page"
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final

from fhir_server.console.visit import Problems, Visit
from fhir_server.store.hl7_found import Wanted
from fhir_server.store.hl7_messages import DEAD, DROPPED, RECEIVED, STORED
from hl7_gateway.console.office import Office
from hl7_gateway.feed import Feed
from hl7_gateway.message import Message
from hl7_gateway.patients import named, patient_hash
from hl7_gateway.problems import Malformed

STATES: Final = ((RECEIVED, "waits"), (STORED, "stored"), (DEAD, "dead letter"), (DROPPED, "dropped"))
"""The states with their names for people."""

_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Filters:
    """What was typed; "" is anything. ``since`` and ``until`` are 2026-05-31T08:00, UTC."""

    feed: str = ""
    state: str = ""
    control_id: str = ""
    patient: str = ""
    type: str = ""
    event: str = ""
    since: str = ""
    until: str = ""

    def kept(self) -> dict[str, str]:
        """As a session keeps it."""
        return {name: text for name in _NAMES if (text := getattr(self, name))}

    def told(self) -> str:
        """What is looked for, for the audit trail."""
        return "&".join(f"{name}={text}" for name, text in self.kept().items())


_NAMES: Final = tuple(one.name for one in fields(Filters))


def typed(visit: Visit) -> Filters:
    """What the form of this visit says."""
    return Filters(**{name: visit.value(name, _LONGEST).strip() for name in _NAMES})


def kept(state: Mapping[str, Any]) -> Filters:
    """What a session has kept."""
    return Filters(**{name: str(state[name]) for name in _NAMES if name in state})


def problems(filters: Filters, office: Office) -> Problems:
    """What cannot be looked for."""
    found = []
    if filters.feed and filters.feed not in {row.name for row in office.rows}:
        found.append(("feed", "There is no such feed any more: choose another one."))
    if filters.state and filters.state not in dict(STATES):
        found.append(("state", "Choose one of the states."))
    for name in ("since", "until"):
        text = getattr(filters, name)
        if text and _moment(text) is None:
            found.append((name, "Write the time as year-month-day, T, hour:minute, for example 2026-05-31T08:00."))
    if filters.patient and not identifiers(filters, office):
        found.append(("patient", HOW_PATIENT))
    return found


HOW_PATIENT: Final = (
    "Write the number as it stands in PID-3 with its authority (4711^^^HOSP), or with its system (urn:oid:1.2.3|4711)."
)


def wanted(filters: Filters, office: Office, **more: Any) -> Wanted:
    """What the store is asked for what has no problems."""
    feed_id = next((row.id for row in office.rows if row.name == filters.feed), None)
    whom = None
    if filters.patient:
        whom = tuple(sorted(patient_hash(office.hasher, *one) for one in identifiers(filters, office)))
    asked: dict[str, Any] = {
        "feed_id": feed_id,
        "control_id": filters.control_id,
        "message_type": filters.type.upper(),
        "event": filters.event.upper(),
        "state": filters.state,
        "patients": whom,
        "since": _moment(filters.since),
        "until": _moment(filters.until),
    }
    return Wanted(**(asked | more))


def identifiers(filters: Filters, office: Office) -> set[tuple[str, str]]:
    """What the typed number of a patient may be: system and value, as each feed in question would read it."""
    system, separator, value = filters.patient.rpartition("|")
    if separator:
        return {(system, value)} if system and value else set()
    found: set[tuple[str, str]] = set()
    for row in office.rows:
        feed = office.feed(row.id) if filters.feed in ("", row.name) else None
        if feed is not None:
            found |= _as_sent(filters.patient, feed)
    return found


def _as_sent(text: str, feed: Feed) -> set[tuple[str, str]]:
    """A number with or without its authority, as it would be read from PID-3 of a message of the feed."""
    if "~" in text or "\r" in text or "\n" in text:
        return set()
    written = [text] if "^" in text else [text, *(f"{text}^^^{authority}" for authority in feed.mapping.authorities)]
    found: set[tuple[str, str]] = set()
    for one in written:
        try:
            message = Message(f"MSH|^~\\&|{feed.application}|{feed.facility}||||\rPID|||{one}")
        except Malformed:
            return set()
        found |= named(message, feed.mapping)
    return found


def _moment(text: str) -> int | None:
    """Microseconds since 1970 of a time without an offset, which is UTC."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1_000_000)
