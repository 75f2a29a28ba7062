"""MDM: documents, and what replaces or adds to them. docs/hl7.md, "Documents" """

from __future__ import annotations

import base64
from typing import Any, Final

from hl7_gateway.conversion.datatypes.attachments import ed, rp
from hl7_gateway.conversion.datatypes.simple import clean, instant
from hl7_gateway.conversion.draft import DRAFT, Draft
from hl7_gateway.conversion.families.clinical import key_of
from hl7_gateway.conversion.families.family import Family
from hl7_gateway.conversion.families.observations import obx
from hl7_gateway.conversion.families.results import mentioned_obr
from hl7_gateway.conversion.maps.documents import TXA_DOCUMENT, document_number
from hl7_gateway.conversion.walk import Parts, Walk
from hl7_gateway.message import Segment
from hl7_gateway.problems import Place

_RELATION: Final = {"T05": "appends", "T06": "appends", "T09": "replaces", "T10": "replaces"}
_AVAILABILITY: Final = {"CA": "entered-in-error", "OB": "superseded"}
_TEXTS: Final = frozenset({"TX", "FT", "ST", ""})


def txa(walk: Walk, segment: Segment) -> None:
    """A document of the patient, known by its unique number."""
    patient = walk.current.get("Patient")
    if patient is None:
        return
    finish_document(walk)
    document = _sent_before(walk)
    if document is None:
        document = walk.draft("DocumentReference")
        walk.current["DocumentReference"] = document
    known = document_number(segment.first(12), walk)
    document.identifiers = [known] if known else []
    document.natural = (
        "TXA",
        DRAFT + patient.name,
        key_of(segment, 2),
        segment.text(4).strip(),
        segment.text(6).strip(),
    )
    TXA_DOCUMENT.apply(segment, document, walk)
    walk.at(segment)
    walk.state(document, "subject", patient.reference, slot="TXA#subject")
    _context(walk, segment, document)
    _status(walk, segment, document)
    _parent(walk, segment, document)


def _sent_before(walk: Walk) -> Draft | None:
    """The document that is told of, where it was sent in a result before: orders and reports have it so since 2.8."""
    segments = walk.message.segments
    place = walk.index - 1
    while place > 0 and segments[place].name in ("PRT", "NTE"):
        place -= 1
    result, sent = walk.current.get("Observation"), walk.current.get("sent")
    if segments[place].name != "OBX" or result is None or sent is None:
        return None
    return sent if sent.natural == ("OBX-5", DRAFT + result.name) else None


def _context(walk: Walk, segment: Segment, document: Draft) -> None:
    encounter = walk.current.get("Encounter")
    if encounter is not None:
        walk.state(document, "context.encounter", encounter.reference, slot="TXA#encounter")
    for order in _orders(walk, document):
        walk.gather(document, "context.related", order.reference, {}, "TXA#order")
    if segment[4]:
        walk.at(segment, 4)
        begun = instant(segment.first(4), walk)
        if begun:
            walk.state(document, "context.period", {"start": begun[0]}, {"start": 1})
    walk.at(segment)


def _orders(walk: Walk, document: Draft) -> list[Draft]:
    """The orders that the document answers: those between the patient, or the document before, and this one."""
    found: list[Draft] = []
    for draft in reversed(walk.conversion.drafts):
        if draft.type in ("Patient", "DocumentReference") and draft is not document:
            break
        if draft.type == "ServiceRequest":
            found.append(draft)
    return found[::-1]


def _status(walk: Walk, segment: Segment, document: Draft) -> None:
    """T11 takes a document back; it stays, as an error, for those who have read it."""
    if walk.event == "T11":
        walk.at(walk.message.header)
        walk.state(document, "status", "entered-in-error", slot="TXA-19")
        walk.state(document, "docStatus", "entered-in-error", slot="TXA-17")
        return
    walk.at(segment, 19)
    status = _AVAILABILITY.get(segment.text(19).strip().upper())
    if status:
        walk.state(document, "status", status, {"": 1})
    else:
        walk.state(document, "status", "current", initial=not segment[19])


def _parent(walk: Walk, segment: Segment, document: Draft) -> None:
    """The document that this one replaces or adds to: it is marked where it is known, and not made where it is not."""
    relation = _RELATION.get(walk.event)
    known = document_number(segment.first(13), walk)
    if known is None or relation is None or known in document.identifiers:
        return
    parent = walk.draft("DocumentReference")
    parent.identifiers = [known]
    parent.action = "none"
    walk.at(segment, 13)
    walk.state(document, "relatesTo", {"code": relation, "target": parent.reference}, {"target": 1})
    if relation == "replaces":
        walk.state(parent, "status", "superseded", {"": 1}, slot="TXA-19")


def document_obx(walk: Walk, segment: Segment) -> None:
    """A part of the document where there is one: text, data, or a pointer to them. Anything else is a result."""
    document = walk.current.get("DocumentReference")
    kind = segment.text(2).strip().upper()
    if document is None or kind not in (*_TEXTS, "ED", "RP"):
        obx(walk, segment)
        return
    walk.current.pop("noted", None)
    walk.read(segment, 1, 2, 3, 4, 11, 14)
    for number, value in enumerate(segment.repetitions(5), 1):
        if not value.raw or value.null:
            continue
        walk.at(segment, 5, number)
        if kind in ("ED", "RP"):
            found = ed(value, walk) if kind == "ED" else rp(value, walk)
            if found:
                _flush(walk, document)
                title = clean(segment.text(3, 2) or segment.text(3))
                if title and "title" not in found[0]:
                    found[0]["title"] = title
                _content(walk, document, *found)
        else:
            walk.texts.append((clean(value.whole.strip("\r\n")), walk.place()))


def _content(walk: Walk, document: Draft, attachment: dict[str, Any], parts: Parts) -> None:
    places: Parts = {f"attachment.{path}": part for path, part in parts.items()}
    walk.gather(document, "content", {"attachment": attachment}, places, "OBX-5")


def _flush(walk: Walk, document: Draft) -> None:
    """The lines so far as one text, in their order."""
    if any(line for line, _ in walk.texts):
        text = "\n".join(line for line, _ in walk.texts)
        data = base64.b64encode(text.encode()).decode()
        found = {"contentType": "text/plain; charset=utf-8", "data": data, "size": len(text.encode())}
        place: Place = walk.texts[0][1]
        _content(walk, document, found, {"data": place})
    walk.texts.clear()


def finish_document(walk: Walk) -> None:
    """What is left of the lines; a document whose content was not sent has what is known of it."""
    document = walk.current.pop("DocumentReference", None)
    if document is None:
        return
    _flush(walk, document)
    txa_segment = walk.segments.get("TXA")
    name = clean(txa_segment.text(16)) if txa_segment is not None else ""
    if txa_segment is not None:
        walk.at(txa_segment, 16)
    if not walk.has(document, "content"):
        walk.state(document, "content", {"attachment": {"title": name or "not sent"}}, {}, slot="TXA-16", initial=True)


DOCUMENTS: Final = Family("documents", {"OBR": mentioned_obr, "OBX": document_obx})
