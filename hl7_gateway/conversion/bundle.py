"""A message as a transaction Bundle, for those who have no store of ours. https://hl7.org/fhir/R4/bundle.html#transaction"""

from __future__ import annotations

import uuid
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote

from fhir_server.r4.definitions import load
from hl7_gateway.conversion.datatypes.simple import clean
from hl7_gateway.conversion.draft import DRAFT, Conversion, Draft
from hl7_gateway.conversion.mending import mend
from hl7_gateway.conversion.vocabulary import TERMINOLOGY
from hl7_gateway.feed_mapping import FeedMapping, own_system
from hl7_gateway.message import Message
from hl7_gateway.timestamps import NotATime, instant

_NAMESPACE: Final = uuid.UUID("2f1d5b0e-6a57-4d0c-9a6b-7f0a6c0b51d3")
"""Of the names of entries: the same message has the same Bundle."""


def as_bundle(
    conversion: Conversion, message: Message, mapping: FeedMapping, mended: list[str] | None = None
) -> dict[str, Any]:
    """What a message says, as one transaction: what is known by an identifier is updated, or created where it is not.

    Whoever applies it replaces whole resources: only the store knows which elements a later message leaves as they are.
    What FHIR does not have is mended as the store does; why is added to ``mended``.
    """
    written = [draft for draft in conversion.drafts if draft.action == "write"]
    urls = {draft.name: _url(message, draft.name) for draft in written}
    references: dict[str, dict[str, Any]] = {name: {"reference": url} for name, url in urls.items()}
    # What is not made here is referred to by what it is known by.
    references |= {draft.name: _logical(draft) for draft in conversion.drafts if draft.name not in urls}
    resources = {draft.name: _resource(draft, references) for draft in written}
    for merge in conversion.merges:
        _merge(
            merge.type, resources[merge.retired], resources[merge.surviving], urls[merge.retired], urls[merge.surviving]
        )
    told = [said for resource in resources.values() for said in mend(resource)]
    if mended is not None:
        mended += told
    entries = [_header(message, mapping), _provenance(message, mapping, [urls[name] for name in resources])]
    entries.extend(
        {"fullUrl": urls[draft.name], "resource": resources[draft.name], "request": _request(draft)}
        for draft in written
    )
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def _url(message: Message, name: str) -> str:
    header = message.header
    return f"urn:uuid:{uuid.uuid5(_NAMESPACE, '|'.join((header[3], header[4], message.control_id, name)))}"


def _logical(draft: Draft) -> dict[str, Any]:
    """https://hl7.org/fhir/R4/references.html#logical"""
    if not draft.identifiers:
        return {"type": draft.type, "display": "unknown"}
    system, value = draft.identifiers[0]
    return {"type": draft.type, "identifier": {"system": system, "value": value}}


def _request(draft: Draft) -> dict[str, str]:
    if not draft.identifiers:
        return {"method": "POST", "url": draft.type}
    system, value = draft.identifiers[0]
    query = f"identifier={quote(system, safe=':/')}|{quote(value, safe='')}"
    if draft.stub:
        return {"method": "POST", "url": draft.type, "ifNoneExist": query}
    return {"method": "PUT", "url": f"{draft.type}?{query}"}


def _resource(draft: Draft, references: dict[str, dict[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {"resourceType": draft.type}
    for stated in draft.stated:
        *steps, last = stated.path.split(".")
        holder, kind = made, draft.type
        for step in steps:
            holder = holder.setdefault(step, {})
            kind = elements(kind)[step][0]
        _, repeats, siblings = ("", False, ()) if last.startswith("_") else elements(kind)[last]
        if repeats:
            holder.setdefault(last, []).extend(_named(said.value, references) for said in stated.values)
            if not holder[last]:
                del holder[last]
        elif not stated.values:
            holder.pop(last, None)
        elif not (stated.initial and last in holder):
            for other in siblings:
                holder.pop(other, None)
            holder[last] = _named(stated.values[0].value, references)
    return _full(made)


def _full(value: dict[str, Any]) -> dict[str, Any]:
    """Without what was taken away down to nothing."""
    return {name: one for name, one in value.items() if one != {} and one != []}


@lru_cache(maxsize=512)
def elements(kind: str) -> dict[str, tuple[str, bool, tuple[str, ...]]]:
    """The elements of a type by their names in JSON: type, whether it repeats, and what else the same choice may be."""
    found = {}
    for element in load().types[kind].elements.values():
        names = element.json_names()
        for name, ref in names.items():
            found[name] = (ref.code, element.max != 1, tuple(other for other in names if other != name))
    return found


def _named(value: Any, references: dict[str, dict[str, Any]]) -> Any:
    """A value whose references name entries of the Bundle."""
    if isinstance(value, dict):
        named = value.get("reference")
        if isinstance(named, str) and named.startswith(DRAFT):
            more = {name: one for name, one in value.items() if name != "reference"}
            return {**more, **references[named.removeprefix(DRAFT)]}
        return {name: _named(one, references) for name, one in value.items()}
    if isinstance(value, list):
        return [_named(one, references) for one in value]
    return value


def _merge(kind: str, retired: dict[str, Any], surviving: dict[str, Any], gone: str, stays: str) -> None:
    if kind == "Account":
        retired["status"] = "inactive"
        retired["partOf"] = {"reference": stays}
        return
    retired["active"] = False
    retired.setdefault("link", []).append({"other": {"reference": stays}, "type": "replaced-by"})
    surviving.setdefault("link", []).append({"other": {"reference": gone}, "type": "replaces"})


def _header(message: Message, mapping: FeedMapping) -> dict[str, Any]:
    """https://hl7.org/fhir/R4/messageheader.html"""
    header = message.header
    made: dict[str, Any] = {
        "resourceType": "MessageHeader",
        "eventCoding": {"system": TERMINOLOGY + "v2-0003", "code": message.event or message.message_type},
        "source": {
            "name": clean(header.text(3)) or "unknown",
            "endpoint": own_system(mapping.name, header.text(3) or header.text(4)),
        },
        "sender": {"display": clean(header.text(4)) or "unknown"},
    }
    if header[5] or header[6]:
        target = {"endpoint": own_system(mapping.name, header.text(5) or header.text(6))}
        if clean(header.text(5)):
            target["name"] = clean(header.text(5))
        made["destination"] = [target]
    return {"fullUrl": _url(message, "MessageHeader"), "resource": made, "request": _post("MessageHeader")}


def _provenance(message: Message, mapping: FeedMapping, targets: list[str]) -> dict[str, Any]:
    """https://hl7.org/fhir/R4/provenance.html: what the message is called, never what it says."""
    try:
        recorded = instant(message.header.text(7), mapping.zone)
    except NotATime:
        recorded = "1970-01-01T00:00:00Z"
    made = {
        "resourceType": "Provenance",
        "target": [{"reference": url} for url in targets or [_url(message, "MessageHeader")]],
        "recorded": recorded,
        "activity": {
            "coding": [
                {
                    "system": "http://hl7.org/fhir/uv/v2mappings/CodeSystem/provenance-activity-type-v2-to-fhir",
                    "code": "v2-fhir-transformation",
                }
            ]
        },
        "agent": [
            {
                "type": {"coding": [{"system": TERMINOLOGY + "provenance-participant-type", "code": "author"}]},
                "who": {"display": clean(message.header.text(4) or message.header.text(3)) or "unknown"},
            }
        ],
        "entity": [
            {
                "role": "source",
                "what": {
                    "identifier": {
                        "system": own_system(mapping.name, "message"),
                        "value": clean(message.control_id) or "unknown",
                    }
                },
            }
        ],
    }
    return {"fullUrl": _url(message, "Provenance"), "resource": made, "request": _post("Provenance")}


def _post(kind: str) -> dict[str, str]:
    return {"method": "POST", "url": kind}
