"""System values of items: equality, equivalence and order. https://hl7.org/fhirpath/N1/#operations"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from fhir_server.fhirpath.errors import EvaluationError
from fhir_server.fhirpath.nodes import Item, Node, table
from fhir_server.fhirpath.quantity import UNIT_SECONDS, Quantity, compare_quantities
from fhir_server.fhirpath.temporal import Temporal, compare_temporals, parse_temporal

TEMPORAL_TYPES = {"date": "date", "dateTime": "dateTime", "instant": "dateTime", "time": "time"}
"""FHIR types whose System value is a Temporal, with its kind. https://hl7.org/fhir/R4/fhirpath.html#types"""


def system(item: Item) -> Any:
    """The System value of an item: of a Node its Temporal, Quantity, string, number or boolean; None if it has none.

    A complex element other than a Quantity stays a Node. https://hl7.org/fhir/R4/fhirpath.html#types
    """
    if not isinstance(item, Node):
        return item
    value = item.value
    if value is None:
        return None
    kind = TEMPORAL_TYPES.get(item.type)
    if kind is not None:
        temporal = parse_temporal(value, kind) if isinstance(value, str) else None
        return value if temporal is None else temporal
    if isinstance(value, dict):
        if "Quantity" in table(item.type).supertypes:
            amount = value.get("value")
            unit = value.get("code", value.get("unit", "1"))
            if isinstance(amount, int | Decimal) and not isinstance(amount, bool) and isinstance(unit, str):
                return Quantity(Decimal(amount), unit)
        return item
    return value


def _json_key(value: Any) -> Any:
    if isinstance(value, dict):
        return ("{", frozenset((name, _json_key(member)) for name, member in value.items()))
    if isinstance(value, list):
        return ("[", tuple(_json_key(member) for member in value))
    return ("?", value) if isinstance(value, bool) else value


def equality_key(item: Item) -> Any:
    """A hashable value that is equal for items that are equal by ``=``, so that sets of items cost linear time."""
    value = system(item)
    if isinstance(value, bool):
        return ("?", value)
    if isinstance(value, Temporal):
        return ("@", value.kind == "time", value.utc(), value.offset is None and len(value.fields) > 3)
    if isinstance(value, Quantity):
        factor = UNIT_SECONDS.get(value.unit)
        return ("q", value.value, value.unit) if factor is None else ("q", value.value * factor, "s")
    if isinstance(value, Node):
        return _json_key(value.value)
    if value is None and isinstance(item, Node):
        return ("_", _json_key(item.sibling))
    return value


def _number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def compare(left: Any, right: Any) -> int | None:
    """Order of two System values: -1, 0, 1, or None where it is not known. https://hl7.org/fhirpath/N1/#comparison

    Raises EvaluationError for values that have no order, such as a string and a number.
    """
    if _number(left) and _number(right):
        return -1 if left < right else 1 if left > right else 0
    if isinstance(left, str) and isinstance(right, str):
        return -1 if left < right else 1 if left > right else 0
    if isinstance(left, Temporal) and isinstance(right, Temporal):
        return compare_temporals(left, right)
    if isinstance(left, Quantity) or isinstance(right, Quantity):
        first = Quantity(Decimal(left), "1") if _number(left) else left
        second = Quantity(Decimal(right), "1") if _number(right) else right
        if isinstance(first, Quantity) and isinstance(second, Quantity):
            return compare_quantities(first, second)
    raise EvaluationError(f"A {kind_of(left)} cannot be compared with a {kind_of(right)}")


def kind_of(value: Any) -> str:
    """What to call a System value in a message."""
    if isinstance(value, Node):
        return value.type
    if isinstance(value, Temporal):
        return value.kind
    names = {bool: "Boolean", str: "String", int: "Integer", Decimal: "Decimal", Quantity: "Quantity"}
    return names.get(type(value), type(value).__name__)


def equal(left: Item, right: Item) -> bool | None:
    """``=`` of two items; None where precision leaves it open. https://hl7.org/fhirpath/N1/#equality"""
    a, b = system(left), system(right)
    if isinstance(a, Temporal) and isinstance(b, Temporal):
        if (a.kind == "time") != (b.kind == "time"):
            return False
        order = compare_temporals(a, b)
        return None if order is None else order == 0
    if (isinstance(a, Quantity) and (isinstance(b, Quantity) or _number(b))) or (
        isinstance(b, Quantity) and _number(a)
    ):
        order = compare(a, b)
        return None if order is None else order == 0
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, Node) or isinstance(b, Node) or a is None or b is None:
        return bool(equality_key(left) == equality_key(right))
    return bool(a == b)


def equivalent(left: Item, right: Item) -> bool:
    """``~`` of two items: strings by letters and spaces alone, numbers to the lesser precision.

    https://hl7.org/fhirpath/N1/#equivalence
    """
    a, b = system(left), system(right)
    if isinstance(a, str) and isinstance(b, str):
        return " ".join(a.casefold().split()) == " ".join(b.casefold().split())
    if isinstance(a, Decimal | int) and isinstance(b, Decimal | int) and not isinstance(a, bool | None):
        places = min(_places(a), _places(b))
        return round(Decimal(a), places) == round(Decimal(b), places) and not isinstance(b, bool)
    if isinstance(a, Node) and isinstance(b, Node):
        return bool(_json_key(_folded(a.value)) == _json_key(_folded(b.value)))
    return equal(left, right) is True


def _folded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _folded(member) for name, member in value.items()}
    if isinstance(value, list):
        return sorted((_folded(member) for member in value), key=repr)
    return " ".join(value.casefold().split()) if isinstance(value, str) else value


def _places(value: int | Decimal) -> int:
    exponent = Decimal(value).as_tuple().exponent
    return min(-exponent, 100) if isinstance(exponent, int) and exponent < 0 else 0
