"""$lineage: which field of which message each element of a resource goes back to. docs/hl7.md, "Lineage" """

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.errors import Gone, NotFound
from fhir_server.interactions.context import Context, Response
from fhir_server.interactions.masking import whole
from fhir_server.interactions.named_parameters import named
from fhir_server.interactions.refusal import refusal, refused
from fhir_server.operations.operation import Operation
from fhir_server.r4 import json
from fhir_server.r4.instants import format_instant
from fhir_server.store import hl7_lineage
from fhir_server.store.hl7_lineage import NONE, Source, digest
from fhir_server.store.resources import Stored
from fhir_server.store.store import Store


@dataclass(frozen=True, slots=True)
class _Element:
    """One element that is as a message has said it: its FHIRPath, and where the message had it."""

    path: str
    place: str
    message: int
    version: str


def run(ctx: Context, scope: Sequence[str], pairs: list[tuple[str, str]], body: object) -> Response:
    """Answer Parameters with an element for each that is as a message has said it; what is not is left out.

    It is decided as a read of the resource. Raises BadRequest, Forbidden, NotFound, Gone.
    """
    resource_type, resource_id = scope
    access = ctx.decide("read", resource_type)
    if access.nothing:
        raise refusal(ctx, "read", resource_type)
    seen = whole(access)
    if seen.nothing or (seen != access and ctx.store.read(seen, resource_type, resource_id) is None):
        # Paths alone would tell which of the hidden elements there are.
        raise refused(ctx, f"{resource_type} is shown to the caller in part; read it instead.", "permission")
    named("$lineage", (), pairs, body)

    def look(store: Store) -> tuple[Stored | None, list[_Element], dict[int, Source]]:
        stored = store.read(access, resource_type, resource_id)
        if stored is None or stored.body is None:
            return stored, [], {}
        key = store.hasher.uncached(f"{resource_type}/{resource_id}")
        entries = store.within(lambda c: hl7_lineage.load(c, store.tenant_id, [key])).get(key, NONE)
        content = json.parse(stored.body)
        if stored.meta:
            content["meta"] = json.parse(stored.meta)
        found = list(_elements(resource_type, content, json.parse(entries)))
        messages = sorted({one.message for one in found})
        return stored, found, store.within(lambda c: hl7_lineage.sources(c, store.tenant_id, messages))

    stored, found, sources = ctx.store.transaction(look)
    ctx.phases.mark("sql")
    if stored is None:
        raise NotFound(f"{resource_type}/{resource_id} is not known.")
    if stored.deleted:
        raise Gone(f"{resource_type}/{resource_id} was deleted.")
    if stored.patient is not None:
        ctx.trace.patients.add(stored.patient)
    parameters = [{"name": "element", "part": _parts(one, sources.get(one.message))} for one in found]
    # A resource's list may not be empty: https://hl7.org/fhir/R4/json.html
    return Response(
        200, json.dumps({"resourceType": "Parameters", **({"parameter": parameters} if parameters else {})})
    )


def _elements(resource_type: str, content: Mapping[str, Any], entries: Mapping[str, Any]) -> Iterator[_Element]:
    for path in sorted(entries):
        value = _at(content, path)
        repeats = isinstance(value, list)
        places = {digest(one): place for place, one in reversed(list(enumerate(value)))} if repeats else {}
        whole = "" if repeats or value is None else digest(value)
        for slot in entries[path].values():
            for known, below in slot["s"]:
                if known != whole and known not in places:
                    # It was changed over REST since: no message says it any more.
                    continue
                at = f"{resource_type}.{path}" + (f"[{places[known]}]" if repeats else "")
                for inner, place in below.items():
                    yield _Element(f"{at}.{inner}" if inner else at, place, slot["m"], slot["v"])


def _at(content: Mapping[str, Any], path: str) -> Any:
    value: Any = content
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _parts(one: _Element, source: Source | None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": "path", "valueString": one.path},
        {"name": "place", "valueString": one.place},
        {"name": "message", "valueString": str(one.message)},
    ]
    if one.version:
        found.append({"name": "mapVersion", "valueString": one.version})
    if source is not None:
        if source.control_id:
            found.append({"name": "controlId", "valueString": source.control_id})
        if source.feed:
            found.append({"name": "feed", "valueString": source.feed})
        found.append({"name": "received", "valueInstant": format_instant(source.received)})
    return found


_DEFINITION = "urn:fhir-server:operation:lineage"
OPERATION = Operation("lineage", _DEFINITION, ("instance",), run, needs=("read",), whole=True)
