"""What was done with a message, and what it has made, from the audit trail. docs/audit.md"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fhir_server.audit import event as events
from fhir_server.audit.drain import message_key
from fhir_server.audit.event import SUCCESS, Event
from fhir_server.authn.people import Person
from fhir_server.console.times import shown_at
from fhir_server.store import audit
from hl7_gateway.console.office import Office
from hl7_gateway.recording import COMMAND_LINE

_MOST: Final = 100

_WORDS: Final[Mapping[str, str]] = {
    "hl7-read": "looked at it",
    "hl7-preview": "looked at what it would change",
    "hl7-replay": "had it converted again",
    "hl7-drop": "dropped it",
}


@dataclass(frozen=True, slots=True)
class Done:
    """One thing that was done with a message: when, by whom, what, and what was said of it."""

    at: str
    who: str
    what: str
    said: str


@dataclass(frozen=True, slots=True)
class Made:
    """A version of a resource that a message has made; ``before`` is 0 where it is new."""

    name: str
    before: int
    after: int


def history(office: Office, number: int) -> tuple[list[Done], list[Made]]:
    """What was done with a message, the latest first, and what it has made."""
    key = message_key(office.hasher, number)
    found = [events.decode(record) for record in audit.about(office.database, office.tenant_id, key, _MOST)]
    people = {person.id: person.name or person.username for person in _people(office, found)}
    made = [
        Made(f"{kind}/{name}", before, after) for event in found for kind, name, before, after in sorted(event.written)
    ]
    return [_done(event, number, people) for event in found], made


def _people(office: Office, found: Sequence[Event]) -> list[Person]:
    if any(event.kind in _WORDS for event in found):
        return office.visit.services.people.listed(office.tenant_id)
    return []


def _done(event: Event, number: int, people: Mapping[str, str]) -> Done:
    at = shown_at(event.at)
    if event.kind not in _WORDS:
        wrote = f"converted: {len(event.written)} resources written"
        return Done(
            at, event.client_id or event.subject, wrote if event.outcome == SUCCESS else "refused", event.reason
        )
    what = _WORDS[event.kind]
    if event.kind == "hl7-replay":
        after = event.detail.get(str(number))
        before = next((one for one, other in event.detail.items() if other == number), None)
        if after is not None:
            what = f"corrected it: it became message {after}"
        elif before is not None:
            what = f"made it, as a correction of message {before}"
    if event.outcome != SUCCESS:
        what = f"was refused ({event.status})"
    who = people.get(event.subject, "somebody")
    if event.client_id == COMMAND_LINE:
        who = f"{event.subject} on the server"
    return Done(at, who, what, event.reason)
