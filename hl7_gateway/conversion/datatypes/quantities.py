"""NM and SN with units, CQ, NR. https://hl7.org/fhir/uv/v2mappings/datatype_maps.html"""

from __future__ import annotations

import re
from typing import Any, Final

from hl7_gateway.conversion.datatypes.codes import code_system
from hl7_gateway.conversion.datatypes.simple import clean, number, token
from hl7_gateway.conversion.walk import Converted, Parts, Walk
from hl7_gateway.message import Value

UCUM: Final = "http://unitsofmeasure.org"
_COMPARED: Final = re.compile(r"(<=|>=|<|>|=<|=>)\s*(\S.*)", re.DOTALL)
_SWAPPED: Final = {"=<": "<=", "=>": ">="}


def unit(value: Value, walk: Walk) -> dict[str, str]:
    """Unit, and system and code where the sender names a coding system, of a CWE (OBX-6)."""
    code = clean(value.part(1).strip())
    label = clean(value.part(2).strip())
    if not code and not label:
        return {}
    found = {"unit": label or code}
    named = value.part(3).strip()
    if code and named:
        found["system"] = UCUM if named.upper().startswith("UCUM") else code_system(named, walk)
        found["code"] = token(code)
    return found


def quantity(said: str) -> dict[str, Any] | None:
    """A number, with what it is compared to (`<5`), as a Quantity without its unit; None where it is none."""
    said = said.strip()
    comparator = ""
    match = _COMPARED.fullmatch(said)
    if match:
        comparator, said = _SWAPPED.get(match[1], match[1]), match[2]
    value = number(said)
    if value is None:
        return None
    return {"value": value, "comparator": comparator} if comparator else {"value": value}


def cq(value: Value, walk: Walk) -> Converted | None:
    """A Quantity of a CQ, whose units are a component."""
    found = quantity(value.part(1))
    if found is None:
        walk.warn("This is not a number, and was left out.")
        return None
    parts: Parts = {"value": 1}
    units = unit(value.component(2), walk)
    for element in units:
        parts[element] = 2
    return {**found, **units}, parts


def exact(value: Value, walk: Walk) -> Converted | None:
    """A Quantity of a CQ that FHIR allows no comparator in."""
    found = cq(value, walk)
    if found is None or "comparator" not in found[0]:
        return found
    walk.warn("This is not an exact number, and was left out.")
    return None


def structured(value: Value) -> tuple[str, Any]:
    """An SN as an element of a choice without its type's value prefix, and its content without units.

    `>^100` is a Quantity, `1^-^5` a Range, `1^:^128` a Ratio, anything else a string. ("", None): there is nothing.
    """
    comparator, separator = value.part(1).strip(), value.part(3).strip()
    one, two = value.part(2).strip(), value.part(4).strip()
    first, second = number(one), number(two)
    if separator == "-" and first is not None and second is not None and first <= second:
        return "Range", {"low": {"value": first}, "high": {"value": second}}
    if separator in (":", "/") and first is not None and second is not None:
        numerator: dict[str, Any] = {"value": first}
        if comparator in ("<", ">", "<=", ">="):
            numerator["comparator"] = comparator
        return "Ratio", {"numerator": numerator, "denominator": {"value": second}}
    if not separator and not two and first is not None and comparator in ("", "=", "<", ">", "<=", ">=", "=<", "=>"):
        found: dict[str, Any] = {"value": first}
        if comparator not in ("", "="):
            found["comparator"] = _SWAPPED.get(comparator, comparator)
        return "Quantity", found
    whole = " ".join(part for part in (comparator, one, separator, two) if part)
    return ("String", clean(whole)) if whole else ("", None)


def numeric_range(said: str) -> dict[str, Any] | None:
    """A reference range (`3.5-5.0`, `<5`, `>= 60`) as low and high; None where it is a text."""
    match = re.fullmatch(r"\s*([+-]?[0-9.]+)\s*(?:-|to|\u2013)\s*([+-]?[0-9.]+)\s*", said)
    if match:
        low, high = number(match[1]), number(match[2])
        if low is not None and high is not None and low <= high:
            return {"low": {"value": low}, "high": {"value": high}}
        return None
    match = _COMPARED.fullmatch(said.strip())
    limit = number(match[2]) if match else None
    if match and limit is not None:
        return {"high" if "<" in match[1] else "low": {"value": limit}}
    return None
