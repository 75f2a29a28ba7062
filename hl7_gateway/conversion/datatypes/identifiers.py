"""CX, EI, EIP, and what they identify. https://hl7.org/fhir/uv/v2mappings/datatype_maps.html"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from hl7_gateway.conversion.datatypes.simple import clean, period, token
from hl7_gateway.conversion.vocabulary import TERMINOLOGY
from hl7_gateway.conversion.walk import Converted, Parts, Walk
from hl7_gateway.message import Value

Convert = Callable[[Value, Walk], Converted | None]

IDENTIFIER_TYPES: Final = TERMINOLOGY + "v2-0203"
SSN: Final = "http://hl7.org/fhir/sid/us-ssn"

SHARED: Final = frozenset({"SS", "SSN", "DL", "PPN", "AN", "VN", "BC", "SB", "FN", "PNT", "SN", "MC", "MA", "WC"})
"""Types (table 0203) of numbers that tell nobody apart: mistyped, shared by a family, or of something else."""


def type_of(kind: str, text: str = "") -> dict[str, Any]:
    """An Identifier.type of table 0203."""
    found: dict[str, Any] = {"coding": [{"system": IDENTIFIER_TYPES, "code": kind}]}
    if text:
        found["text"] = text
    return found


def cx(kind: str = "", use: str = "") -> Convert:
    """An Identifier; ``kind`` is its type where the value does not say it."""

    def converted(value: Value, walk: Walk) -> Converted | None:
        said = clean(value.part(1).strip())
        if not said:
            return None
        sent = token(value.part(5))
        authority, facility = value.component(4), value.component(6)
        system = walk.mapping.system(authority, walk.message, facility)
        parts: Parts = {"value": 1, "system": 4 if authority else 6 if facility else 0}
        if sent in ("SS", "SSN") and not authority:
            system = SSN
        found: dict[str, Any] = {"system": system, "value": said}
        if sent or kind:
            found["type"] = type_of(sent or kind)
            if sent:
                parts["type"] = 5
        if use:
            found["use"] = use
        if value.count >= 7:
            lasting = period(value.part(7), value.part(8), walk, (7, 8))
            if lasting:
                found["period"] = lasting[0]
                parts.update({f"period.{path}": part for path, part in lasting[1].items()})
        return found, parts

    return converted


def pair(value: Value, walk: Walk) -> tuple[str, str] | None:
    """System and value of a CX."""
    said = clean(value.part(1).strip())
    return (walk.mapping.system(value.component(4), walk.message, value.component(6)), said) if said else None


def ei(kind: str = "") -> Convert:
    """An Identifier of an EI, whose authority is components 2 to 4."""

    def converted(value: Value, walk: Walk) -> Converted | None:
        found = ei_pair(value, walk)
        if found is None:
            return None
        made: dict[str, Any] = {"system": found[0], "value": found[1]}
        if kind:
            made["type"] = type_of(kind)
        return made, {"value": 1, "system": 2 if value.component(2) else 3 if value.component(3) else 0}

    return converted


def ei_pair(value: Value, walk: Walk) -> tuple[str, str] | None:
    """System and value of an EI, which may be a component whose parts are subcomponents."""
    said = clean(value.part(1).strip())
    if not said:
        return None
    namespace, universal, kind = value.part(2), value.part(3), value.part(4)
    return walk.mapping.assigned(namespace, universal, kind, walk.message), said


def eip(component: int, kind: str) -> Convert:
    """An Identifier of the placer (component 1) or filler (2) of an EIP."""
    inner = ei(kind)

    def converted(value: Value, walk: Walk) -> Converted | None:
        found = inner(value.component(component), walk)
        return None if found is None else (found[0], {"value": component, "system": component})

    return converted


def logical(inner: Convert, kind: str = "") -> Convert:
    """A Reference by identifier to what is not made here. https://hl7.org/fhir/R4/references.html#logical"""

    def converted(value: Value, walk: Walk) -> Converted | None:
        found = inner(value, walk)
        if found is None:
            return None
        made: dict[str, Any] = {"identifier": found[0]}
        if kind:
            made["type"] = kind
        return made, {"identifier": 1}

    return converted


def ssn(value: Value, walk: Walk) -> Converted | None:
    """A social security number, of a field that is nothing else."""
    said = clean(value.text.strip())
    return ({"system": SSN, "value": said, "type": type_of("SS")}, {"value": 0}) if said else None


def licence(value: Value, walk: Walk) -> Converted | None:
    """A driver's licence (DLN)."""
    said = clean(value.part(1).strip())
    if not said:
        return None
    state = clean(value.part(2).strip())
    system = walk.mapping.assigned(f"{state}-DL" if state else "DL", "", "", walk.message)
    found: dict[str, Any] = {"system": system, "value": said, "type": type_of("DL")}
    lasting = period("", value.part(3), walk, (3, 3))
    if lasting:
        found["period"] = lasting[0]
    return found, {"value": 1, "system": 2, "type": 0}
