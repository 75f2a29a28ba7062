"""Elements of a resource as FHIRPath sees them: value, type, place. https://hl7.org/fhir/R4/fhirpath.html

A collection is a Python list. Its items are either a Node, which is an element of a resource, or a value of FHIRPath's
own System types: bool, str, int, Decimal, Temporal or Quantity.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from fhir_server.fhirpath.errors import EvaluationError
from fhir_server.r4 import definitions
from fhir_server.r4.json import Json

Item = Any
"""A Node, or a System value."""


class Node:
    """One element.

    ``value`` is its JSON, None for a primitive that has only extensions; ``type`` the name of its type ("Patient",
    "HumanName", "Patient.contact", "code"); ``sibling`` the JSON of ``_name`` that goes with a primitive. It stands in
    ``parent`` under the property ``key``, and if that is a list at ``index``, else ``index`` is -1.
    """

    __slots__ = ("index", "key", "parent", "sibling", "type", "value")

    def __init__(
        self, value: Json, type_: str, sibling: Json = None, parent: Node | None = None, key: str = "", index: int = -1
    ) -> None:
        self.value = value
        self.type = type_
        self.sibling = sibling
        self.parent = parent
        self.key = key
        self.index = index

    def location(self) -> str:
        """The path from the root, such as "Patient.name[0].given[1]", as OperationOutcome.issue.expression wants it."""
        steps: list[str] = []
        node: Node | None = self
        while node is not None and node.parent is not None:
            steps.append(node.key if node.index < 0 else f"{node.key}[{node.index}]")
            node = node.parent
        steps.append(node.type if node is not None else self.type)
        return ".".join(reversed(steps))


class Unfetched(Node):
    """The target of a reference of which only the type is known: enough for ``is``, ``as``, ``ofType``, ``exists``."""

    __slots__ = ()


class TypeTable:
    """What evaluation needs to know of one type, made once. https://hl7.org/fhir/R4/structuredefinition.html

    ``members`` maps the name of an element, without [x], to its JSON properties, each as (property, type, primitive).
    ``properties`` maps each JSON property to (element name, type, primitive).
    """

    __slots__ = ("members", "name", "primitive", "properties", "resource", "supertypes")

    def __init__(self, name: str) -> None:
        known = definitions.load().types
        definition = known[name]
        self.name = name
        self.primitive = definition.kind == "primitive"
        self.resource = definition.kind == "resource"
        self.members: dict[str, tuple[tuple[str, str, bool], ...]] = {}
        self.properties: dict[str, tuple[str, str, bool]] = {}
        for element in definition.elements.values():
            if self.primitive and element.name == "value":
                continue
            forms = []
            for prop, ref in element.json_names().items():
                primitive = known[ref.code].kind == "primitive"
                forms.append((prop, ref.code, primitive))
                self.properties[prop] = (element.name, ref.code, primitive)
            self.members[element.name] = tuple(forms)
        self.supertypes = _supertypes(name)


def _supertypes(name: str) -> frozenset[str]:
    known = definitions.load().types
    names = set()
    while name:
        names.add(name)
        name = known[name].base if name in known else ""
    return frozenset(names)


@cache
def table(type_name: str) -> TypeTable:
    """The table of a type of the pack. Raises EvaluationError for a type that FHIR R4 does not have."""
    if type_name not in definitions.load().types:
        raise EvaluationError(f"{type_name} is no type of FHIR R4")
    return TypeTable(type_name)


def type_of(value: Json, declared: str) -> str:
    """The type of an element declared as ``declared``: for a resource what its resourceType says."""
    if declared in ("Resource", "DomainResource") and isinstance(value, dict):
        named = value.get("resourceType")
        if isinstance(named, str) and named in definitions.load().type_ids:
            return named
    return declared


def root(resource: Json, type_name: str = "Resource") -> Node:
    """The node of a resource, or of an element whose type is given."""
    return Node(resource, type_of(resource, type_name))


def _source(node: Node, types: TypeTable) -> dict[str, Json] | None:
    """The JSON object that holds the node's own elements: for a primitive that is its ``_name`` sibling."""
    if isinstance(node, Unfetched):
        raise EvaluationError("resolve() cannot read the elements of a resource that is stored elsewhere")
    value = node.sibling if types.primitive else node.value
    return value if isinstance(value, dict) else None


def _make(source: dict[str, Json], node: Node, prop: str, type_name: str, primitive: bool, out: list[Item]) -> None:
    value = source.get(prop)
    if not primitive:
        if isinstance(value, list):
            out.extend(
                Node(item, type_of(item, type_name), None, node, prop, index) for index, item in enumerate(value)
            )
        elif value is not None:
            out.append(Node(value, type_of(value, type_name), None, node, prop))
        return
    sibling = source.get("_" + prop)
    if value is None and sibling is None:
        return
    if isinstance(value, list) or isinstance(sibling, list):
        values = value if isinstance(value, list) else []
        siblings = sibling if isinstance(sibling, list) else []
        for index in range(max(len(values), len(siblings))):
            one = values[index] if index < len(values) else None
            other = siblings[index] if index < len(siblings) else None
            if one is not None or other is not None:
                out.append(Node(one, type_name, other, node, prop, index))
    else:
        out.append(Node(value, type_name, sibling, node, prop))


def member(items: list[Item], name: str) -> list[Item]:
    """The elements called ``name`` (without [x]) of each item, in order. https://hl7.org/fhirpath/N1/#path-selection"""
    out: list[Item] = []
    for item in items:
        if isinstance(item, Node):
            types = table(item.type)
            forms = types.members.get(name)
            if forms is not None:
                source = _source(item, types)
                if source is not None:
                    for prop, type_name, primitive in forms:
                        _make(source, item, prop, type_name, primitive, out)
    return out


def children(item: Item) -> list[Item]:
    """Every element directly below, in the order in which they stand. https://hl7.org/fhirpath/N1/#children-collection"""
    out: list[Item] = []
    if not isinstance(item, Node):
        return out
    types = table(item.type)
    source = _source(item, types)
    if source is None:
        return out
    for prop in source:
        known = types.properties.get(prop)
        if known is not None:
            _make(source, item, prop, known[1], known[2], out)
        elif prop.startswith("_") and prop[1:] not in source and prop[1:] in types.properties:
            _, type_name, primitive = types.properties[prop[1:]]
            if primitive:
                _make(source, item, prop[1:], type_name, primitive, out)
    return out


def descendants(items: list[Item]) -> Iterator[Item]:
    """Everything below the items, depth first, parents before children. https://hl7.org/fhirpath/N1/#descendants-collection"""
    pending = [child for item in reversed(items) for child in reversed(children(item))]
    while pending:
        item = pending.pop()
        yield item
        pending.extend(reversed(children(item)))
