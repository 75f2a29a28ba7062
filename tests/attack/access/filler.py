"""Resources that have a value for nearly every search parameter of their type, made from the definitions pack.

https://hl7.org/fhir/R4/resourcelist.html
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from fhir_server.r4 import definitions
from fhir_server.r4.definitions import Element, TypeRef

Resource = dict[str, Any]
Refer = Callable[[tuple[str, ...], str, bool], list[str]]
"""(types that may be referred to, path of the element, whether it takes several) -> references."""

_DEEPEST = 4
_FEW_TARGETS = 4
_NOWHERE = frozenset({"id", "extension", "modifierExtension", "comparator"})
_NOT_ON_TOP = frozenset({"contained", "text", "implicitRules", "language", "meta"})
_UNITS = {"unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}


@dataclass(frozen=True, slots=True)
class Values:
    """What distinguishes one resource from all others: its canary, a date, a number and a truth."""

    canary: str
    day: str
    number: int
    truth: bool
    turn: int


def filled(resource_type: str, values: Values, refer: Refer) -> Resource:
    """A resource of right types and bindings; invariants between its elements may be broken."""
    return {"resourceType": resource_type, **_Filler(values, refer).fill(resource_type, resource_type, 0)}


@cache
def _codes(value_set: str) -> tuple[tuple[str, str], ...]:
    found = definitions.load().value_sets.get(value_set, {})
    return tuple((system, code) for system, codes in found.items() for code in codes)


@dataclass(frozen=True, slots=True)
class _Filler:
    values: Values
    refer: Refer

    def fill(self, type_name: str, path: str, depth: int) -> Resource:
        made: Resource = {}
        for element in definitions.load().types[type_name].elements.values():
            if element.name in _NOWHERE or (depth == 0 and element.name in _NOT_ON_TOP):
                continue
            names = list(element.json_names().items())
            name, ref = names[(self.values.turn + len(names) // 2) % len(names)]
            found = self.several(element, ref, f"{path}.{element.name}", depth + 1)
            if found:
                made[name] = found[0] if element.max == 1 else found
        return made

    def several(self, element: Element, ref: TypeRef, path: str, depth: int) -> list[Any]:
        if ref.code == "Reference":
            texts = self.refer(ref.targets, path, element.max != 1)
            return [{"reference": text, "display": self.values.canary} for text in texts[:_FEW_TARGETS]]
        one = self.one(element, ref, path, depth)
        return [] if one is None else [one]

    def one(self, element: Element, ref: TypeRef, path: str, depth: int) -> Any:
        kind = definitions.load().types[ref.code].kind
        canary = self.values.canary
        codes = _codes(element.value_set)
        if kind == "primitive":
            return self.primitive(ref.code, codes)
        if kind == "resource":
            return {"resourceType": "Basic", "id": "inner", "code": {"text": canary}}
        system, code = codes[self.values.turn % len(codes)] if codes else (f"urn:{canary}", canary)
        coding = {"system": system, "code": code, "display": canary}
        match ref.code:
            case "Coding":
                return coding
            case "CodeableConcept":
                return {"coding": [coding], "text": canary}
            case "Identifier":
                return {"system": "urn:zz", "value": canary}
            case "Quantity" | "SimpleQuantity" | "Age" | "Count" | "Distance" | "Duration" | "MoneyQuantity":
                return {"value": self.values.number, **_UNITS}
            case "Money":
                return {"value": self.values.number, "currency": "USD"}
        return (self.fill(ref.code, path, depth) or None) if depth < _DEEPEST else None

    def primitive(self, code: str, codes: tuple[tuple[str, str], ...]) -> Any:
        values = self.values
        match code:
            case "boolean":
                return values.truth
            case "decimal" | "integer" | "unsignedInt" | "positiveInt":
                return values.number
            case "date":
                return values.day
            case "dateTime" | "instant":
                return f"{values.day}T10:00:00Z"
            case "time":
                return "10:00:00"
            case "code" if codes:
                return codes[values.turn % len(codes)][1]
            case "canonical" | "uri" | "url" | "oid" | "uuid":
                return f"urn:{values.canary}"
            case "base64Binary":
                return base64.b64encode(values.canary.encode()).decode()
            case "xhtml":
                return f'<div xmlns="http://www.w3.org/1999/xhtml">{values.canary}</div>'
        return values.canary
