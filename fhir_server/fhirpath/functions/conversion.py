"""toInteger, convertsToInteger and their like; toString. https://hl7.org/fhirpath/N1/#conversion"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from fhir_server.fhirpath import ast
from fhir_server.fhirpath.evaluation import single, wrap
from fhir_server.fhirpath.functions.registry import plain
from fhir_server.fhirpath.nodes import Item, Node
from fhir_server.fhirpath.quantity import Quantity, decimal_text, parse_quantity
from fhir_server.fhirpath.temporal import Temporal, parse_temporal
from fhir_server.fhirpath.values import system

_INTEGER = re.compile(r"[+-]?\d{1,18}\Z", re.ASCII)
_DECIMAL = re.compile(r"[+-]?\d{1,60}(\.\d{1,60})?\Z", re.ASCII)
_QUANTITY = re.compile(r"([+-]?\d{1,60}(?:\.\d{1,60})?)\s*(?:'([^']+)'|([a-z]+))?\Z", re.ASCII)
_TRUE = frozenset(("true", "t", "yes", "y", "1", "1.0"))
_FALSE = frozenset(("false", "f", "no", "n", "0", "0.0"))


def to_boolean(value: Any) -> bool | None:
    """A boolean out of true/t/yes/y/1, false/f/no/n/0."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        word = value.lower()
        return True if word in _TRUE else False if word in _FALSE else None
    if isinstance(value, int | Decimal):
        return True if value == 1 else False if value == 0 else None
    return None


def to_integer(value: Any) -> int | None:
    """An integer out of digits or a boolean."""
    if isinstance(value, bool | int):
        return int(value)
    return int(value) if isinstance(value, str) and _INTEGER.match(value) else None


def to_decimal(value: Any) -> Decimal | None:
    """A decimal out of digits, an integer or a boolean."""
    if isinstance(value, bool | int):
        return Decimal(int(value))
    if isinstance(value, Decimal):
        return value
    return Decimal(value) if isinstance(value, str) and _DECIMAL.match(value) else None


def to_text(value: Any) -> str | None:
    """The text of any System value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return decimal_text(value)
    return str(value) if isinstance(value, str | int | Temporal | Quantity) else None


def to_quantity(value: Any) -> Quantity | None:
    """A quantity out of a number or a text such as ``4 days`` or ``4.5 'mg'``."""
    if isinstance(value, Quantity):
        return value
    if isinstance(value, bool | int | Decimal):
        return Quantity(Decimal(value), "1")
    match = _QUANTITY.match(value) if isinstance(value, str) else None
    if match is None or (match[3] and match[3] not in ast.CALENDAR_UNITS):
        return None
    return parse_quantity(match[1], match[2] or match[3] or "1", bool(match[3]))


def _to_temporal(kind: str) -> Callable[[Any], Temporal | None]:
    def convert(value: Any) -> Temporal | None:
        if isinstance(value, str):
            text = value[:10] if kind == "date" else value.removeprefix("T")
            # A longer text must be a whole dateTime before its date may be taken.
            return parse_temporal(text, kind) if kind != "date" or parse_temporal(value, "dateTime") else None
        if not isinstance(value, Temporal) or (value.kind == "time") != (kind == "time"):
            return None
        if kind == "date":
            return Temporal(kind, value.fields[:3])
        return Temporal(kind, value.fields, value.offset)

    return convert


CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "Boolean": to_boolean,
    "Integer": to_integer,
    "Decimal": to_decimal,
    "String": to_text,
    "Quantity": to_quantity,
    "Date": _to_temporal("date"),
    "DateTime": _to_temporal("dateTime"),
    "Time": _to_temporal("time"),
}
"""By the name of the System type."""


def _declare(name: str, convert: Callable[[Any], Any]) -> None:
    def value_of(items: list[Item]) -> Any:
        item = single(items)
        # A date of a resource is text already; writing it out again could change it.
        raw = name == "String" and isinstance(item, Node) and not isinstance(item.value, dict)
        return convert(item.value if raw and isinstance(item, Node) else system(item))

    # A unit may be asked for; converting between units is not offered, so it must be the one there is.
    def in_unit(items: list[Item], unit: list[Item]) -> Any:
        value = value_of(items)
        wanted = single(unit)
        return value if wanted is None or (isinstance(value, Quantity) and value.unit == system(wanted)) else None

    def to(items: list[Item], *unit: list[Item]) -> list[Item]:
        return wrap(in_unit(items, unit[0]) if unit else value_of(items))

    def converts(items: list[Item], *unit: list[Item]) -> list[Item]:
        return [bool(to(items, *unit))] if items else []

    most = 1 if name == "Quantity" else 0
    plain(f"to{name}", 0, most)(to)
    plain(f"convertsTo{name}", 0, most)(converts)


for _name, _convert in CONVERSIONS.items():
    _declare(_name, _convert)
