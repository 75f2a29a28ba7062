"""Primitive extensions: ``_birthDate`` beside ``birthDate``. https://hl7.org/fhir/R4/json.html#primitive

The fast pass comes here only for objects that have such properties. What exists, what is required and which invariants
hold is then decided anew, because a primitive without a value but with an extension exists.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fhir_server.validation import invariants
from fhir_server.validation.primitives import URI
from fhir_server.validation.rules import MAX_DEPTH, Property, TypeRules

Check = Callable[[Any, int], bool]


class Checker:
    """Checks the ``_name`` properties of one type's objects, and with them whatever depends on what exists."""

    def __init__(self, type_rules: TypeRules, extensions: Check) -> None:
        self.rules = type_rules
        self.extensions = extensions

    def check(self, o: dict[str, Any], d: int) -> bool:
        """Whether an object is valid whose other properties have been found so; ``d`` is the depth of its children."""
        for name in o:
            if name[:1] == "_" and not self._property(o, name[1:], o[name], d):
                return False
        return self._cardinality(o) and all(
            invariants.predicate(key, self.rules.name)(o) for key in self.rules.invariants
        )

    def _property(self, o: dict[str, Any], base: str, sibling: Any, d: int) -> bool:
        prop = self.rules.properties.get(base)
        if prop is None or prop.plain or prop.predicate is None:
            return False
        if not prop.repeats:
            if base in o and not prop.predicate(o[base]):
                return False
            return self._element(sibling, base in o, d)
        return self._list(prop, o.get(base), sibling, d)

    def _list(self, prop: Property, values: Any, siblings: Any, d: int) -> bool:
        if type(siblings) is not list or not siblings or prop.predicate is None:
            return False
        if values is None:
            values = [None] * len(siblings)
        elif type(values) is not list or len(values) != len(siblings):
            return False
        for value, sibling in zip(values, siblings, strict=True):
            if value is not None and not prop.predicate(value):
                return False
            if sibling is None:
                if value is None:
                    return False
            elif not self._element(sibling, value is not None, d):
                return False
        return True

    def _element(self, sibling: Any, has_value: bool, d: int) -> bool:
        if type(sibling) is not dict or not sibling or not sibling.keys() <= {"id", "extension"} or d > MAX_DEPTH:
            return False
        if "id" in sibling and not URI.fullmatch(sibling["id"]):
            return False
        if "extension" in sibling:
            return self.extensions(sibling["extension"], d + 1)
        return has_value

    def _cardinality(self, o: dict[str, Any]) -> bool:
        for element in self.rules.choices:
            if len({name for name in element.json_names() if name in o or "_" + name in o}) > 1:
                return False
        for element in self.rules.required:
            if not any(name in o or "_" + name in o for name in element.json_names()):
                return False
        if self.rules.name == "Extension":
            has_value = any(name.lstrip("_").startswith("value") for name in o)
            return ("extension" in o) != has_value
        return True
