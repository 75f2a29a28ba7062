"""TXA: what is known of a document. https://hl7.org/fhir/uv/v2mappings/segment_maps.html"""

from __future__ import annotations

import re
from typing import Final

from hl7_gateway.conversion.datatypes.codes import concept
from hl7_gateway.conversion.datatypes.identifiers import ei
from hl7_gateway.conversion.datatypes.references import practitioner
from hl7_gateway.conversion.datatypes.simple import clean, first, instant
from hl7_gateway.conversion.table import SegmentMap, many, one
from hl7_gateway.conversion.walk import Converted, Walk
from hl7_gateway.feed_mapping import own_system
from hl7_gateway.message import Value

_OID: Final = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")


def document_number(value: Value, walk: Walk) -> tuple[str, str] | None:
    """System and value of a document's unique number: an OID is one by itself."""
    number = clean(value.part(1).strip())
    if not number:
        return None
    if _OID.fullmatch(number) and not any(value.part(part) for part in (2, 3)):
        return "urn:ietf:rfc:3986", f"urn:oid:{number}"
    return walk.mapping.assigned(value.part(2), value.part(3), value.part(4), walk.message), number


def _master(value: Value, walk: Walk) -> Converted | None:
    found = document_number(value, walk)
    return ({"system": found[0], "value": found[1]}, {"value": 1, "system": 2}) if found else None


def _file(value: Value, walk: Walk) -> Converted | None:
    """The name of the file that a document is in, which is unique where it was sent from."""
    name = clean(value.text.strip())
    return ({"system": own_system(walk.mapping.name, "document-file"), "value": name}, {"value": 1}) if name else None


def _status(value: Value, walk: Walk) -> Converted | None:
    """Completion (table 0271): what is authenticated is final."""
    found = _DOC_STATUS.get(value.text.strip().upper())
    if found is None:
        walk.warn("This completion status is not in table 0271; it was left out.")
        return None
    return found, {"": 1}


_DOC_STATUS: Final = {
    "AU": "final",
    "LA": "final",
    "DI": "preliminary",
    "DO": "preliminary",
    "IN": "preliminary",
    "IP": "preliminary",
    "PA": "preliminary",
}


TXA_DOCUMENT: Final = SegmentMap(
    "TXA",
    "DocumentReference",
    [
        one(2, "type", concept(table="0270")),
        one(6, "date", instant),
        many(9, "author", practitioner),
        one(10, "authenticator", practitioner, lambda segment: not segment[22]),
        one(12, "masterIdentifier", _master),
        many(14, "identifier", ei("PLAC")),
        one(15, "identifier", ei("FILL")),
        one(16, "identifier", _file),
        one(17, "docStatus", _status),
        one(18, "securityLabel", concept("DocumentConfidentialityStatus", "0272")),
        one(22, "authenticator", practitioner),
        one(25, "description", first),
    ],
    ignored=(1, 3, 13, 19),
)
