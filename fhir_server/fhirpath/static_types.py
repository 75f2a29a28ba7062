"""The types that an expression can yield, as far as its text tells, so that a misspelt element is an error.

https://hl7.org/fhirpath/N1/#type-safety-and-strict-evaluation
"""

from __future__ import annotations

import difflib

from fhir_server.fhirpath import ast
from fhir_server.fhirpath.functions import FUNCTIONS
from fhir_server.fhirpath.nodes import table
from fhir_server.r4 import definitions

Types = frozenset[str] | None
"""Names of types; None where the text does not tell."""

_KEEP_TYPE = frozenset(
    ("where", "first", "last", "tail", "skip", "take", "single", "distinct", "intersect", "exclude", "trace")
)
"""Functions whose items are items of their input."""


class UnknownElement(ValueError):
    """A path names an element that no type it can meet there has; ``position`` is the offset of the name."""

    def __init__(self, problem: str, position: int) -> None:
        super().__init__(problem)
        self.position = position


def static_types(node: ast.Node, context: Types) -> Types:
    """The types of the items of ``node``, evaluated on items of the types ``context``; None if they cannot be told.

    Raises UnknownElement, whose message proposes the nearest names, for an element that does not exist.
    """
    match node:
        case ast.Member(source=None, name=name):
            if context is not None and name in definitions.load().types:
                return _narrowed(context, name, node.position)
            return _elements(context, node)
        case ast.Member(source=ast.Node() as source):
            return _elements(static_types(source, context), node)
        case ast.Function():
            return _function(node, context)
        case ast.TypeOperation(operator="as"):
            static_types(node.operand, context)
            return _named(node.type)
        case ast.Indexer():
            static_types(node.index, context)
            return static_types(node.source, context)
        case ast.Special(name="this"):
            return context
        case _:
            for child in node.children():
                static_types(child, context)
            return None


def _function(node: ast.Function, context: Types) -> Types:
    source = context if node.source is None else static_types(node.source, context)
    if node.name in ("as", "ofType"):
        return _named(node.arguments[0])
    definition = FUNCTIONS.get(node.name)
    inner = source if definition is not None and definition.loops else context
    results = [static_types(argument, inner) for argument in node.arguments]
    if node.name == "select" and results:
        return results[0]
    if node.name == "extension":
        return frozenset(("Extension",))
    return source if node.name in _KEEP_TYPE else None


def _narrowed(context: frozenset[str], name: str, position: int) -> Types:
    if any(definitions.load().types[t].abstract for t in context):
        return None
    found = frozenset(t for t in context if name in table(t).supertypes)
    if not found:
        raise UnknownElement(f"{' or '.join(sorted(context)[:3])} is no {name}", position)
    return found


def _named(specifier: ast.Node) -> Types:
    name = specifier.name if isinstance(specifier, ast.TypeName) else ""
    return frozenset((name,)) if name in definitions.load().types else None


def _elements(types: Types, node: ast.Member) -> Types:
    known = definitions.load().types
    if types is None or any(known[t].abstract for t in types):
        return None
    found: set[str] = set()
    names: set[str] = set()
    for type_name in types:
        members = table(type_name).members
        names.update(members)
        found.update(code for _, code, _ in members.get(node.name, ()))
    if not found and not (node.name == "value" and any(table(t).primitive for t in types)):
        near = difflib.get_close_matches(node.name, sorted(names), 3)
        owner = " or ".join(sorted(types)[:3])
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise UnknownElement(f"{owner} has no element {node.name}{hint}", node.position)
    return frozenset(found) or None
