"""From a row of the outbox to the message that is sent for it. docs/hl7-outbound.md"""

from __future__ import annotations

from fhir_server.fhirpath.errors import EvaluationError
from fhir_server.r4.instants import format_instant
from fhir_server.store.hl7_outbound import Entry
from hl7_gateway.outbound.building.message import Change, Made, build
from hl7_gateway.outbound.building.sources import Impossible, Resource, Untold
from hl7_gateway.outbound.destination import Destination
from hl7_gateway.outbound.shelf import Shelf


def control_id(entry: Entry) -> str:
    """MSH-10: the same for every attempt, and of no other message."""
    return f"FHIR{entry.id}"


def prepared(entry: Entry, known: int, destination: Destination, shelf: Shelf, now: int) -> Made:
    """The message that tells a destination of a version, compared with the version ``known`` to it (0: none).

    Raises Untold where it is not to be told, Impossible where no message can be made, Unavailable.
    """
    if destination.configuration.latest_only and entry.superseded:
        raise Untold("A later version tells it.")
    kind, number = entry.resource_type, entry.resource_id
    after = shelf.read(kind, number, entry.version)
    if after is None and not shelf.deleted(kind, number, entry.version):
        raise Untold("The destination may not see it.")
    before = shelf.read(kind, number, known) if known else None
    if before is not None and not _wanted(destination, before):
        before = None
    if after is not None and not _wanted(destination, after):
        raise Untold("No rule wants it.")
    change = Change(kind, before, after, format_instant(entry.created), format_instant(now))
    return build(change, control_id(entry), shelf, destination.configuration)


def previewed(kind: str, number: str, destination: Destination, shelf: Shelf, now: int) -> Made:
    """The message that would tell a destination of a resource that it does not know, as it is now. Raises as above."""
    resource = shelf.read(kind, number)
    if resource is None:
        raise Impossible("It is not there, or the destination may not see it.")
    if not _wanted(destination, resource):
        raise Untold("No rule wants it.")
    at = str(resource.get("meta", {}).get("lastUpdated", format_instant(now)))
    return build(Change(kind, None, resource, at, format_instant(now)), "PREVIEW", shelf, destination.configuration)


def _wanted(destination: Destination, resource: Resource) -> bool:
    try:
        rules = destination.configuration.rules
        return any(rule.holds(resource) for rule in rules if rule.resource == resource["resourceType"])
    except EvaluationError:
        raise Impossible("The expression of a rule cannot be evaluated on it.") from None
