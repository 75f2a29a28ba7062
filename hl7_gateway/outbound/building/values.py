"""Values of an Observation as OBX-2, OBX-5, OBX-6 and OBX-7. https://hl7.org/fhir/uv/v2mappings/datatype_maps.html"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from hl7_gateway.outbound.building.sources import Resource
from hl7_gateway.outbound.building.text import components, text
from hl7_gateway.outbound.building.writer import Writer
from hl7_gateway.wire.versions import before

_LONGEST_STRING: Final = 199
"""Characters of an ST; a longer text is a TX."""

_YES_NO: Final = {True: "Y^Yes^HL70136", False: "N^No^HL70136"}

Value = tuple[str, str, str]
"""OBX-2, OBX-5 and OBX-6."""

_NOTHING: Final = ("", "", "")


def value_of(owner: Resource, writer: Writer) -> Value:
    """The value of an Observation or of one of its components; nothing where it has none."""
    element = next((name for name in owner if name.startswith("value") and name[5:6].isupper()), "")
    value: Any = owner.get(element)
    if element == "valueQuantity":
        return _quantity(value, writer)
    if element == "valueCodeableConcept":
        kind = "CE" if before(writer.version, "2.6") and not value.get("text") else "CWE"
        return _filled(kind, writer.concept(value, "OBX-3" if kind == "CE" else "SPM-4"))
    if element == "valueString":
        return _filled("ST" if len(value) <= _LONGEST_STRING and "\n" not in value else "TX", text(value))
    if element == "valueBoolean":
        return "CWE", _YES_NO[value], ""
    if element == "valueInteger":
        return "NM", str(value), ""
    return _composed(element, value, writer) if element else _NOTHING


def _composed(element: str, value: Any, writer: Writer) -> Value:
    if element == "valueRange":
        low, high = value.get("low", {}), value.get("high", {})
        unit = _unit(low if low.get("unit") or low.get("code") else high, writer)
        return _between(low.get("value"), high.get("value"), unit)
    if element == "valueRatio":
        one, two = value.get("numerator", {}), value.get("denominator", {})
        return _filled(
            "SN", components(text(one.get("comparator", "")), number(one.get("value")), ":", number(two.get("value")))
        )
    if element == "valueDateTime":
        return _filled(writer.time_type, writer.moment(value))
    if element == "valueTime":
        return "TM", text(value.replace(":", "")), ""
    if element == "valuePeriod":
        return _filled("DR", components(writer.moment(value.get("start", "")), writer.moment(value.get("end", ""))))
    # Samples have no data type that every version knows: they are told as they are written.
    return _filled("TX", text(value.get("data", "")))


def _between(low: Any, high: Any, unit: str) -> Value:
    if low is not None and high is not None:
        return "SN", components("", number(low), "-", number(high)), unit
    if low is None and high is None:
        return _NOTHING
    return "SN", components(">=" if low is not None else "<=", number(low if low is not None else high)), unit


def _filled(kind: str, content: str, unit: str = "") -> Value:
    return (kind, content, unit) if content else _NOTHING


def _quantity(value: Resource, writer: Writer) -> Value:
    if value.get("value") is None:
        return _NOTHING
    measured = number(value["value"])
    comparator = value.get("comparator")
    if "E" in measured:
        # NM and SN know no exponents.
        return "ST", text(" ".join(one for one in (comparator, measured, value.get("unit")) if one)), ""
    if comparator:
        return "SN", components(text(comparator), measured), _unit(value, writer)
    return "NM", measured, _unit(value, writer)


_DIGITS: Final = 30
"""How many digits a number is written out with, on either side of its point."""


def number(value: Decimal | int | None) -> str:
    """A number with its digits, and with an exponent only where it would have no end of them."""
    if value is None:
        return ""
    exact = Decimal(value)
    exponent = exact.as_tuple().exponent
    few = exact.adjusted() < _DIGITS and isinstance(exponent, int) and exponent >= -_DIGITS
    return format(exact, "f" if few else "E")


def _unit(value: Resource, writer: Writer) -> str:
    code, label = value.get("code", ""), value.get("unit", "")
    if not code:
        return text(label)
    return writer.concept({"system": value.get("system", ""), "code": code, "display": label}, "OBX-6")


def limits(owner: Resource, writer: Writer) -> str:
    """The reference range: its text, else its limits."""
    found: Resource = next(iter(owner.get("referenceRange", ())), {})
    if found.get("text"):
        return text(found["text"])
    low, high = (number(found.get(side, {}).get("value")) for side in ("low", "high"))
    if low and high:
        return f"{low}-{high}"
    return text(f">={low}" if low else f"<={high}" if high else "")


_KINDS: Final = {
    "application/pdf": ("AP", "PDF"),
    "text/plain": ("TEXT", "PLAIN"),
    "text/html": ("TEXT", "HTML"),
    "text/rtf": ("TEXT", "RTF"),
    "application/rtf": ("AP", "RTF"),
    "image/jpeg": ("IM", "JPEG"),
    "image/png": ("IM", "PNG"),
    "image/gif": ("IM", "GIF"),
    "image/tiff": ("IM", "TIFF"),
}
"""Tables 0191 and 0291."""


def document(form: Resource) -> tuple[str, str]:
    """An Attachment as ED, or as RP where it is only told where it is."""
    content_type = form.get("contentType", "").partition(";")[0]
    kind, subtype = _KINDS.get(content_type, ("AP", "Octet-stream"))
    if form.get("data"):
        return "ED", components("", kind, subtype, "Base64", text("".join(form["data"].split())))
    if form.get("url"):
        return "RP", components(text(form["url"]), "", kind, subtype)
    return "", ""
