"""Where the versions that a message has made come from. https://hl7.org/fhir/R4/provenance.html"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from fhir_server.interactions.context import Context
from fhir_server.interactions.create import new_id
from fhir_server.interactions.write import prepare
from fhir_server.r4.instants import format_instant
from fhir_server.store.resources import Write

MESSAGE: Final = "urn:hl7-message"
"""The identifier system of kept messages: their number in this tenant."""

FEED: Final = "urn:hl7-feed"
"""The identifier system of feeds: their name in this tenant."""

_OPERATION: Final = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
_PARTICIPANT: Final = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"

Versions = Sequence[tuple[str, str, int, int]]
"""(type, id, version before, version after), 0 before for what is new."""


def provenance(message: int, feed: str, sender: str, written: Versions, recorded: int) -> dict[str, Any]:
    """One Provenance for all that a message has made.

    Its targets are the versions; its agent is the feed, shown by what the sender calls itself; its one entity, in the
    role of a source, names the message as it is kept and holds nothing of its content. ``recorded`` in microseconds.
    """
    activity = "CREATE" if all(before == 0 for _, _, before, _ in written) else "UPDATE"
    who = {"identifier": {"system": FEED, "value": feed}, "display": sender or feed}
    return {
        "resourceType": "Provenance",
        "target": [{"reference": f"{kind}/{one}/_history/{after}"} for kind, one, _, after in written],
        "recorded": format_instant(recorded),
        "activity": {"coding": [{"system": _OPERATION, "code": activity}]},
        "agent": [{"type": {"coding": [{"system": _PARTICIPANT, "code": "assembler"}]}, "who": who}],
        "entity": [{"role": "source", "what": {"identifier": {"system": MESSAGE, "value": str(message)}}}],
    }


def write_of(ctx: Context, found: dict[str, Any]) -> Write:
    """The Write that stores it."""
    return prepare(ctx, found, str(new_id()), "POST", 0)
