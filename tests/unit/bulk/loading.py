"""Small inputs for loads, and looks at what came of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fhir_server.access.policy import EVERYTHING
from fhir_server.bulk import bundles, lines
from fhir_server.bulk.batches import batches, of_document
from fhir_server.bulk.session import Session
from fhir_server.bulk.work import LoadLines, Outcome, Place

PATH = Path("some.ndjson")
INVALID = {"resourceType": "Patient", "active": "yes"}


def patient(number: int | str | None = None, **more: Any) -> dict[str, Any]:
    """A patient, with an id where a number is given."""
    return {"resourceType": "Patient"} | ({} if number is None else {"id": f"p{number}"}) | more


def batch(*found: Any) -> LoadLines:
    """Lines with these resources, or these bytes."""
    texts = [line if isinstance(line, bytes) or line is None else json.dumps(line).encode() for line in found]
    (one,) = batches(PATH, texts)
    return one


def load_lines(session: Session, *found: Any) -> Outcome:
    """Load lines with these resources, or these bytes."""
    return lines.load(session, batch(*found))


def bundle(kind: str, *entries: dict[str, Any]) -> dict[str, Any]:
    """A Bundle of this type."""
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def post(resource: dict[str, Any], full_url: str = "") -> dict[str, Any]:
    """An entry that creates."""
    named = {"fullUrl": full_url} if full_url else {}
    return named | {"resource": resource, "request": {"method": "POST", "url": resource["resourceType"]}}


def put(resource: dict[str, Any]) -> dict[str, Any]:
    """An entry that updates."""
    url = f"{resource['resourceType']}/{resource['id']}"
    return {"resource": resource, "request": {"method": "PUT", "url": url}}


def load_bundle(session: Session, content: dict[str, Any], only: frozenset[int] | None = None) -> Outcome:
    """Load a Bundle out of a file."""
    raw = json.dumps(content)
    source = bundles.Source(of_document(raw.encode()), Place(PATH), json.loads(raw), lambda: json.loads(raw))
    return bundles.load(session, source, only)


def stored(session: Session, name: str) -> dict[str, Any] | None:
    """The resource of that name ("Patient/p1") as the store has it."""
    resource_type, _, resource_id = name.partition("/")
    found = session.context.store.read(EVERYTHING, resource_type, resource_id)
    return None if found is None else json.loads(found.to_bytes())


def positions(outcome: Outcome) -> Sequence[int]:
    """Which failed."""
    return [failure.position for failure in outcome.failures]
