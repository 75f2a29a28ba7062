"""ED and RP as an Attachment, byte by byte what was sent. https://hl7.org/fhir/uv/v2mappings/datatype_maps.html"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, Final

from hl7_gateway.conversion.datatypes.simple import clean
from hl7_gateway.conversion.walk import Converted, Walk
from hl7_gateway.message import Value

_MEDIA: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}")
_SPACE: Final = re.compile(r"\s+")
_SAFE: Final = re.compile(r"(?:https?|ftps?|dicom|dicomweb):[^\s<>\"]+|urn:[^\s<>\"]+", re.IGNORECASE)

_SUBTYPES: Final = {
    "PDF": "application/pdf",
    "RTF": "application/rtf",
    "HTML": "text/html",
    "XML": "text/xml",
    "SGML": "text/sgml",
    "JPEG": "image/jpeg",
    "JPG": "image/jpeg",
    "PNG": "image/png",
    "GIF": "image/gif",
    "TIFF": "image/tiff",
    "TIF": "image/tiff",
    "BMP": "image/bmp",
    "DICOM": "application/dicom",
    "BASIC": "audio/basic",
    "POSTSCRIPT": "application/postscript",
    "OCTET-STREAM": "application/octet-stream",
    "X-HL7-CDA-LEVEL-ONE": "application/hl7-cda+xml",
    "DOC": "application/msword",
    "DOCX": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "TXT": "text/plain",
    "PLAIN": "text/plain",
}
"""Subtypes of data (HL7 table 0291) and common names of files. https://www.iana.org/assignments/media-types"""

_TYPES: Final = {"TEXT": "text/plain", "TX": "text/plain", "FT": "text/plain"}


def media_type(kind: str, subtype: str) -> str:
    """The media type of a type and subtype of data (HL7 tables 0191 and 0291); "" where they tell none."""
    known = _SUBTYPES.get(subtype.upper()) or _TYPES.get(kind.upper())
    if known:
        return known
    if _MEDIA.fullmatch(kind):
        return kind.lower()
    whole = f"{kind}/{subtype}".lower()
    return whole if kind.lower() in _FAMILIES and _MEDIA.fullmatch(whole) else ""


_FAMILIES: Final = frozenset({"application", "audio", "image", "text", "video", "multipart", "message"})


def ed(value: Value, walk: Walk) -> Converted | None:
    """An Attachment of an ED: its type, and its data, which are checked and otherwise left as they came."""
    found: dict[str, Any] = {}
    content = media_type(value.part(2).strip(), value.part(3).strip())
    if content:
        found["contentType"] = content
    encoding = value.part(4).strip().upper()
    raw = value.component(5)
    data = _base64(raw, encoding, walk) if raw else None
    if data:
        # What is of no known type is data all the same: R4 has none without a type, constraint att-1.
        found.setdefault("contentType", "application/octet-stream")
        found["data"] = data
        found["size"] = len(data) * 3 // 4 - data[-2:].count("=")
    if not found:
        return None
    parts: dict[str, Any] = {name: {"contentType": 3, "data": 5, "size": 5}[name] for name in found}
    return found, parts


def _base64(raw: Value, encoding: str, walk: Walk) -> str | None:
    """The data as base64; None, and a warning, where they are not what the encoding says."""
    try:
        if encoding in ("A", ""):
            return base64.b64encode(raw.whole.encode()).decode()
        if encoding == "HEX":
            return base64.b64encode(bytes.fromhex(raw.raw)).decode()
        text = raw.raw if raw.raw.isascii() and not _SPACE.search(raw.raw) else _SPACE.sub("", raw.raw)
        # It is not encoded anew: what is stored are the characters that came.
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        walk.warn(
            f"The data are not {'Hex' if encoding == 'HEX' else 'Base64'} as component 4 says, and were left out."
        )
        return None
    return text or None


def rp(value: Value, walk: Walk) -> Converted | None:
    """An Attachment of an RP: where the data are. Addresses that a browser might run are not taken over."""
    found: dict[str, Any] = {}
    content = media_type(value.part(3).strip(), value.part(4).strip())
    if content:
        found["contentType"] = content
    pointer = clean(value.part(1).strip())
    if pointer and _SAFE.fullmatch(pointer):
        found["url"] = pointer
    elif pointer:
        walk.warn("The pointer is not an address that can be opened safely, as https://; it is kept as a title.")
        found["title"] = pointer
    if not pointer:
        return None
    return found, {"url" if "url" in found else "title": 1}
