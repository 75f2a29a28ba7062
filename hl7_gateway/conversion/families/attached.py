"""Data in a result: a document that the result is derived from. docs/hl7.md, "Documents" """

from __future__ import annotations

from hl7_gateway.conversion.datatypes.attachments import ed, rp
from hl7_gateway.conversion.datatypes.simple import clean
from hl7_gateway.conversion.draft import DRAFT, Draft
from hl7_gateway.conversion.walk import Parts, Walk
from hl7_gateway.message import Segment


def observed_document(walk: Walk, segment: Segment, observation: Draft) -> None:
    """Data or a pointer in a result (OBX-2 ED or RP): a document that the result is derived from."""
    kind = segment.text(2).strip().upper()
    patient = walk.current.get("Patient")
    if kind not in ("ED", "RP") or patient is None or not segment[5]:
        return
    walk.at(segment, 5)
    contents = [found for value in segment.repetitions(5) if (found := (ed if kind == "ED" else rp)(value, walk))]
    if not contents:
        return
    document = walk.draft("DocumentReference")
    document.natural = ("OBX-5", DRAFT + observation.name)
    walk.current["sent"] = document
    for number, (attachment, parts) in enumerate(contents, 1):
        walk.here = (segment, 5, number)
        title = clean(segment.text(3, 2) or segment.text(3))
        if title:
            attachment.setdefault("title", title)
        places: Parts = {f"attachment.{path}": part for path, part in parts.items()}
        walk.gather(document, "content", {"attachment": attachment}, places, "OBX-5")
    walk.at(segment, 5)
    walk.state(document, "status", "current", slot="OBX#status")
    walk.state(document, "subject", patient.reference, slot="OBX#subject")
    encounter = walk.current.get("Encounter")
    if encounter is not None:
        walk.state(document, "context.encounter", encounter.reference, slot="OBX#encounter")
    walk.state(observation, "derivedFrom", document.reference)
