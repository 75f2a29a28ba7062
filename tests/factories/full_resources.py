"""Resources that have every element of their type, made from the definitions pack, for tests of generated code."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from fhir_server.r4 import definitions
from fhir_server.r4.definitions import Element, TypeRef

_DEEPEST = 6
_NOWHERE = frozenset({"id", "extension", "modifierExtension"})
_NOT_ON_TOP = frozenset({"contained", "text", "implicitRules", "language"})


def full(resource_type: str, turn: int) -> dict[str, Any]:
    """A resource with every element that a search expression may name; ``turn`` chooses among types, codes and targets.

    Values are of the right type and in their bindings; invariants between elements may be broken.
    """
    resource = _Filler(turn).fill(resource_type, 0)
    return {
        "resourceType": resource_type, "id": f"r{turn}", "text": {"status": "generated"}, **resource,
        "meta": {"profile": ["http://a.org/p|1"], "tag": [{"code": "t"}], "security": [{"code": "R"}], "source": "http://a.org/s"},
    }  # fmt: skip


class _Filler:
    def __init__(self, turn: int) -> None:
        self.turn = turn
        self.made = 0
        self.pack = definitions.load()

    def fill(self, type_name: str, depth: int) -> dict[str, Any]:
        filled: dict[str, Any] = {}
        for element in self.pack.types[type_name].elements.values():
            if element.name in _NOWHERE or (depth == 0 and element.name in _NOT_ON_TOP):
                continue
            names = list(element.json_names().items())
            name, ref = names[(self.turn + depth) % len(names)]
            value = self.value(element, ref, depth + 1)
            if value is not None:
                filled[name] = value
        return filled

    def value(self, element: Element, ref: TypeRef, depth: int) -> Any:
        if element.max == 1:
            return self.one(element, ref, depth)
        items = [self.one(element, ref, depth) for _ in range(2 if depth < 3 else 1)]
        return None if None in items else items

    def one(self, element: Element, ref: TypeRef, depth: int) -> Any:
        self.made += 1
        kind = self.pack.types[ref.code].kind
        if kind == "primitive":
            return self.primitive(element, ref)
        if kind == "resource":
            return {"resourceType": ("Composition", "MessageHeader", "Patient")[self.turn % 3], "id": f"e{self.made}"}
        if ref.code == "Reference":
            targets = tuple(t for t in ref.targets if t in self.pack.type_ids) or ("Patient", "Device")
            return {"reference": f"{targets[self.turn % len(targets)]}/{self.made}"}
        return (self.fill(ref.code, depth) or None) if depth < _DEEPEST else None

    def primitive(self, element: Element, ref: TypeRef) -> Any:
        number = self.made
        match ref.code:
            case "boolean":
                return self.turn % 2 == 0
            case "decimal":
                return Decimal(number) / 4
            case "integer" | "unsignedInt" | "positiveInt":
                return number
            case "date":
                return f"2020-01-{number % 28 + 1:02}"
            case "dateTime" | "instant":
                return f"2020-01-{number % 28 + 1:02}T10:00:00Z"
            case "time":
                return "10:00:00"
            case "code":
                codes = [c for some in self.pack.value_sets.get(element.value_set, {}).values() for c in some]
                return codes[self.turn % len(codes)] if codes else f"code{number}"
            case "canonical":
                return f"http://a.org/c{number}" + ("|1.0" if number % 2 else "")
            case "uri" | "url" | "oid" | "uuid":
                return f"http://a.org/u{number}"
            case "base64Binary":
                return "AAAA"
            case "id":
                return f"id{number}"
        return f"Text {number}"
