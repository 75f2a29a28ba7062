"""Where the versions that a message has made come from. https://hl7.org/fhir/R4/provenance.html"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from fhir_server.crypto.hashing import Hasher
from fhir_server.interactions.context import Context
from fhir_server.interactions.create import new_id
from fhir_server.interactions.write import prepare
from fhir_server.r4 import json
from fhir_server.r4.instants import format_instant
from fhir_server.search.index import extract
from fhir_server.store.index_rows import IndexRows
from fhir_server.store.resources import Write
from fhir_server.validation import validate
from hl7_gateway.conversion.datatypes.simple import clean
from hl7_gateway.remembering import remembered

MESSAGE: Final = "urn:hl7-message"
"""The identifier system of kept messages: their number in this tenant."""

FEED: Final = "urn:hl7-feed"
"""The identifier system of feeds: their name in this tenant."""

_LONGEST: Final = 200
"""How much is told of what a sender calls itself."""

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
    who = {"identifier": {"system": FEED, "value": feed}, "display": clean(sender)[:_LONGEST] or feed}
    return {
        "resourceType": "Provenance",
        "target": [{"reference": f"{kind}/{one}/_history/{after}"} for kind, one, _, after in written],
        "recorded": format_instant(recorded),
        "activity": {"coding": [{"system": _OPERATION, "code": activity}]},
        "agent": [{"type": {"coding": [{"system": _PARTICIPANT, "code": "assembler"}]}, "who": who}],
        "entity": [{"role": "source", "what": {"identifier": {"system": MESSAGE, "value": str(message)}}}],
    }


def write_of(ctx: Context, found: dict[str, Any]) -> Write:
    """The Write that stores a Provenance of `provenance`: what `prepare` makes of it, at a third of the cost.

    All that such resources of a sender differ in is made here: its shape is validated and indexed once.
    """
    registry = ctx.registry
    agent, activity = found["agent"][0]["who"], found["activity"]["coding"][0]["code"]
    shape = (agent["identifier"]["value"], agent["display"], activity)
    name = str(new_id())
    if registry.custom or ctx.base_url in agent["display"]:
        return prepare(ctx, found, name, "POST", 0)
    constant = _constant(ctx.store.hasher, ctx.store.full_text, *shape)
    own = extract({key: found[key] for key in _OWN}, ctx.store.hasher, registry, full_text=False)
    own.params = list({*own.params, *constant.params})
    own.tokens = list({*own.tokens, *constant.tokens})
    own.references = [*own.references, *constant.references]
    own.strings = [*constant.strings]
    own.words = constant.words
    body = json.dumps({key: value for key, value in found.items() if key != "resourceType"})
    return Write("Provenance", name, "POST", 0, None, body, own)


_OWN: Final = ("resourceType", "target", "recorded", "entity")
"""What tells the Provenances of a sender apart."""


@remembered(256)
def _constant(hasher: Hasher, full_text: bool, feed: str, display: str, activity: str) -> IndexRows:
    """The index rows of what all Provenances of a sender say; nobody may change them."""
    one = provenance(1, feed, display, [("Patient", "1", int(activity == "UPDATE"), 2)], 0)
    validate(one)
    constant = {key: value for key, value in one.items() if key == "resourceType" or key not in _OWN}
    return extract(constant, hasher, full_text=full_text)
