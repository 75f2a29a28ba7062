"""Drafts as resources, where there are none yet: plainly, for tests. docs/hl7.md"""

from __future__ import annotations

import uuid
from typing import Any

from fhir_server.r4.definitions import load
from hl7_gateway.conversion.convert import convert
from hl7_gateway.conversion.draft import DRAFT, Conversion, Draft, Stated
from hl7_gateway.feed_mapping import FeedMapping
from hl7_gateway.message import Message

FEED = FeedMapping("north", "America/New_York")


def applied(conversion: Conversion) -> dict[str, dict[str, Any]]:
    """Every draft that is to be written, by name, with references resolved."""
    ids = {draft.name: str(uuid.uuid5(uuid.NAMESPACE_URL, draft.name)) for draft in conversion.drafts}
    assert len(ids) == len(conversion.drafts), "two drafts have the same name"
    kinds = {draft.name: draft.type for draft in conversion.drafts}
    written = (draft for draft in conversion.drafts if draft.action == "write")
    return {draft.name: _resource(draft, ids, kinds) for draft in written}


def converted(text: str, feed: FeedMapping = FEED) -> dict[str, dict[str, Any]]:
    """The resources of a message, whose segments may be separated by line feeds."""
    return applied(convert(Message(text.strip()), feed))


def of_type(resources: dict[str, dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Those of a type, in the order in which the message speaks of them."""
    return [resource for resource in resources.values() if resource["resourceType"] == kind]


def _resource(draft: Draft, ids: dict[str, str], kinds: dict[str, str]) -> dict[str, Any]:
    made: dict[str, Any] = {"resourceType": draft.type, "id": ids[draft.name]}
    for stated in draft.stated:
        *steps, last = stated.path.split(".")
        holder, kind = made, draft.type
        for step in steps:
            holder = holder.setdefault(step, {})
            kind = _element(kind, step)[0]
        _, repeats = _element(kind, last)
        if not stated.values and repeats:
            taken = [
                _resolved(said.value, ids, kinds)
                for other in draft.stated
                if _same(other, stated)
                for said in other.values
            ]
            holder[last] = [value for value in holder.get(last, []) if value not in taken]
            if not holder[last]:
                del holder[last]
        elif not stated.values:
            holder.pop(last, None)
        elif repeats:
            holder.setdefault(last, []).extend(_resolved(said.value, ids, kinds) for said in stated.values)
        elif not (stated.initial and last in holder):
            assert len(stated.values) == 1, f"{draft.type}.{stated.path} does not repeat"
            holder[last] = _resolved(stated.values[0].value, ids, kinds)
    return made


def _same(one: Stated, other: Stated) -> bool:
    return (one.path, one.slot) == (other.path, other.slot)


def _element(kind: str, name: str) -> tuple[str, bool]:
    """The type of an element, and whether it repeats. Raises KeyError where there is none."""
    if name.startswith("_"):
        return "Element", False
    for element in load().types[kind].elements.values():
        found = element.json_names().get(name)
        if found is not None:
            return found.code, element.max != 1
    raise KeyError(f"{kind} has no {name}")


def _resolved(value: Any, ids: dict[str, str], kinds: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _resolved(one, ids, kinds) for name, one in value.items()}
    if isinstance(value, list):
        return [_resolved(one, ids, kinds) for one in value]
    if isinstance(value, str) and value.startswith(DRAFT):
        name = value.removeprefix(DRAFT)
        return f"{kinds[name]}/{ids[name]}"
    return value
