"""FHIRPath Patch: add, insert, delete, replace and move elements found by FHIRPath. https://hl7.org/fhir/R4/fhirpatch.html"""

from __future__ import annotations

import difflib
from typing import Any

from fhir_server.errors import BadRequest, Invalid
from fhir_server.fhirpath import ast
from fhir_server.fhirpath.compiler import compile_tree
from fhir_server.fhirpath.errors import EvaluationError, Unsupported
from fhir_server.fhirpath.evaluation import UNTRUSTED_BUDGET, Context
from fhir_server.fhirpath.lexer import FhirPathSyntaxError
from fhir_server.fhirpath.nodes import Node, Unfetched, root, table
from fhir_server.fhirpath.parser import parse_once
from fhir_server.fhirpath.patch_parameters import Operation, Value, read_operations
from fhir_server.fhirpath.static_types import UnknownElement, static_types
from fhir_server.r4 import definitions, json
from fhir_server.r4.definitions import Element
from fhir_server.r4.json import Json
from fhir_server.r4.pruning import prune

Pair = tuple[Json, Json]
"""An item of a list, and its item in the list ``_name`` beside it."""


def patch_resource(resource: dict[str, Json], parameters: Json) -> dict[str, Json]:
    """Apply a FHIRPath Patch to a resource, and give the patched one; ``resource`` stays as it is.

    ``parameters`` is the parsed body, a Parameters resource. Operations are applied in order: all or, on an error,
    none. Raises BadRequest for what is no such patch; Invalid for an operation that does not fit the resource: a path
    that finds nothing to replace, or several elements where one is needed; an element that the type does not have or
    that is there already; a position outside the list; another id. Each names the parameter as FHIRPath. TooLarge.
    """
    operations = read_operations(parameters)
    patched: dict[str, Json] = json.parse(json.dumps(resource))
    patch = _Patch(patched)
    try:
        for operation in operations:
            patch.apply(operation)
        prune(patched)
    except RecursionError:
        raise BadRequest("The patched resource is nested too deeply") from None
    if patched.get("id") != resource.get("id"):
        raise Invalid("A patch cannot change id", expression="id", code="processing")
    return patched


def _refuse(operation: Operation, problem: str) -> Invalid:
    return Invalid(
        f"{operation.type} {operation.path[:200]}: {problem}", expression=operation.location, code="processing"
    )


class _Patch:
    def __init__(self, resource: dict[str, Json]) -> None:
        self.resource = resource
        self.budget = UNTRUSTED_BUDGET

    def apply(self, operation: Operation) -> None:
        tree = self.parsed(operation)
        match operation.type:
            case "add":
                node = self.one(operation, self.find(operation, tree))
                put(_object(node), node.type, operation.name, operation.value)
            case "insert":
                self.insert(operation, tree)
            case "delete":
                nodes = self.find(operation, tree)
                if nodes:
                    self.remove(operation, self.one(operation, nodes))
            case "replace":
                self.replace(operation, self.one(operation, self.find(operation, tree)))
            case _:
                self.move(operation, tree)

    def parsed(self, operation: Operation) -> ast.Node:
        # Reading a character costs about as much as visiting ten elements.
        self.spend(operation, 10 * len(operation.path))
        try:
            tree = parse_once(operation.path)
            static_types(tree, frozenset((str(self.resource["resourceType"]),)))
        except FhirPathSyntaxError as error:
            raise BadRequest(f"path: {error}", expression=operation.location) from None
        except UnknownElement as error:
            raise _refuse(operation, str(error)) from None
        return tree

    def find(self, operation: Operation, tree: ast.Node) -> list[Node]:
        """The elements of the resource that the path selects. Raises BadRequest or Invalid."""
        start = root(self.resource)
        context = Context(start, start, start, {}, self.budget)
        try:
            items = compile_tree(tree)([start], context)
        except Unsupported as error:
            raise BadRequest(f"path: {error}", expression=operation.location) from None
        except EvaluationError as error:
            raise _refuse(operation, str(error)) from None
        self.budget = context.budget
        nodes = [item for item in items if isinstance(item, Node) and not isinstance(item, Unfetched)]
        if len(nodes) < len(items):
            raise _refuse(operation, "the path must select elements of this resource")
        return nodes

    def one(self, operation: Operation, nodes: list[Node]) -> Node:
        if len(nodes) != 1:
            raise _refuse(operation, f"the path must select one element; it selects {len(nodes) or 'none'}")
        return nodes[0]

    def below(self, operation: Operation, node: Node) -> Node:
        """The parent of a node that may be changed: any but the resource itself."""
        if node.parent is None:
            raise _refuse(operation, "the resource itself cannot be replaced or deleted")
        return node.parent

    def remove(self, operation: Operation, node: Node) -> None:
        owner = _object(self.below(operation, node))
        if node.index < 0:
            owner.pop(node.key, None)
            owner.pop("_" + node.key, None)
            return
        pairs = self.pairs(operation, owner, node.key)
        del pairs[node.index]
        _store(owner, node.key, pairs)

    def replace(self, operation: Operation, node: Node) -> None:
        parent = self.below(operation, node)
        owner, name = _object(parent), table(parent.type).properties[node.key][0]
        key, value, sibling = content(parent.type, name, operation.value)
        if node.index < 0:
            self.remove(operation, node)
            _store_one(owner, key, value, sibling)
            return
        pairs = self.pairs(operation, owner, key)
        pairs[node.index] = (value, sibling)
        _store(owner, key, pairs)

    def pairs(self, operation: Operation, owner: dict[str, Json], key: str) -> list[Pair]:
        pairs = _pairs(owner, key)
        self.spend(operation, len(pairs))
        return pairs

    def spend(self, operation: Operation, count: int) -> None:
        self.budget -= count
        if self.budget < 0:
            raise _refuse(operation, "the patch visits too many elements")

    def collection(self, operation: Operation, tree: ast.Node) -> tuple[Node, str]:
        """The parent of the list that the path selects, and the name of its element. Raises Invalid."""
        nodes = self.find(operation, tree)
        if nodes:
            places = {(id(node.parent), node.key) for node in nodes}
            if len(places) > 1 or nodes[0].index < 0:
                raise _refuse(operation, "the path must select elements of one list")
            parent = self.below(operation, nodes[0])
            return parent, table(parent.type).properties[nodes[0].key][0]
        if isinstance(tree, ast.Member):
            # The list does not exist yet: its parent is what the path selects without its last step.
            before = self.find(operation, tree.source) if tree.source else [root(self.resource)]
            parent = self.one(operation, before)
            return parent, tree.name
        raise _refuse(operation, "the path selects no list")

    def insert(self, operation: Operation, tree: ast.Node) -> None:
        parent, name = self.collection(operation, tree)
        if element_of(parent.type, name, operation.location).max == 1:
            raise _refuse(operation, f"{name} does not repeat; use add")
        key, value, sibling = content(parent.type, name, operation.value)
        owner = _object(parent)
        pairs = self.pairs(operation, owner, key)
        if operation.index > len(pairs):
            raise _refuse(operation, f"index {operation.index} is beyond the end of the list, {len(pairs)}")
        pairs.insert(operation.index, (value, sibling))
        _store(owner, key, pairs)

    def move(self, operation: Operation, tree: ast.Node) -> None:
        parent, name = self.collection(operation, tree)
        owner = _object(parent)
        pairs = self.pairs(operation, owner, name)
        for position in (operation.source, operation.destination):
            if position >= len(pairs):
                raise _refuse(operation, f"position {position} is outside the list of {len(pairs)}")
        pairs.insert(operation.destination, pairs.pop(operation.source))
        _store(owner, name, pairs)


def element_of(type_name: str, name: str, location: str) -> Element:
    """The element of a type by its name, with or without [x], or by its JSON name. Raises Invalid."""
    elements = definitions.load().types[type_name].elements
    plain = name.removesuffix("[x]")
    if plain in elements and not (table(type_name).primitive and plain == "value"):
        return elements[plain]
    known = table(type_name).properties.get(name)
    if known is not None:
        return elements[known[0]]
    near = difflib.get_close_matches(name[:100], list(elements), 3)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise Invalid(f"{type_name} has no element {name[:100]}{hint}", expression=location, code="processing")


def content(type_name: str, name: str, value: Value) -> tuple[str, Json, Json]:
    """What to store for an element: its JSON property, value, and the value of the ``_`` sibling. Raises Invalid."""
    element = element_of(type_name, name, value.location)
    forms = element.json_names()
    if element.choice:
        key = next((prop for prop, ref in forms.items() if ref.code == value.type), "")
        if not key:
            allowed = ", ".join(ref.code for ref in element.types[:8])
            given = value.type or "an element without type"
            problem = f"{element.name}[x] cannot be {given}; it can be {allowed}"
            raise Invalid(problem, expression=value.location, code="processing")
    else:
        key = element.name
    if not value.parts:
        return key, json.parse(json.dumps(value.json)), json.parse(json.dumps(value.sibling))
    built: dict[str, Json] = {}
    for part, inner in value.parts:
        put(built, forms[key].code, part, inner)
    return key, built, None


def put(owner: dict[str, Json], type_name: str, name: str, value: Value) -> None:
    """Add an element to an object of a type: at the end of a list, or where there is none yet. Raises Invalid."""
    element = element_of(type_name, name, value.location)
    key, json_value, sibling = content(type_name, name, value)
    if element.max != 1:
        # Appending in place, so that many additions do not cost the square of their number.
        present = owner.setdefault(key, [])
        if sibling is None and "_" + key not in owner and isinstance(present, list):
            present.append(json_value)
        else:
            _store(owner, key, [*_pairs(owner, key), (json_value, sibling)])
        return
    there = next((prop for prop in element.json_names() if prop in owner or "_" + prop in owner), None)
    if there is not None:
        problem = f"{there} is there already, and does not repeat; use replace"
        raise Invalid(problem, expression=value.location, code="processing")
    _store_one(owner, key, json_value, sibling)


def _object(node: Node) -> dict[str, Json]:
    """The JSON object that holds a node's elements; for a primitive its ``_`` sibling, made where there is none."""
    if not table(node.type).primitive:
        own: Any = node.value
    elif isinstance(node.sibling, dict):
        own = node.sibling
    else:
        own = node.sibling = {}
        if node.parent is not None:
            owner = _object(node.parent)
            if node.index < 0:
                owner["_" + node.key] = own
            else:
                pairs = _pairs(owner, node.key)
                pairs[node.index] = (node.value, own)
                _store(owner, node.key, pairs)
    if not isinstance(own, dict):
        raise Invalid(f"{node.location()} is no JSON object", code="processing")
    return own


def _pairs(owner: dict[str, Json], key: str) -> list[Pair]:
    values, siblings = owner.get(key), owner.get("_" + key)
    left = values if isinstance(values, list) else []
    right = siblings if isinstance(siblings, list) else []
    length = max(len(left), len(right))
    return list(zip(left + [None] * (length - len(left)), right + [None] * (length - len(right)), strict=True))


def _store(owner: dict[str, Json], key: str, pairs: list[Pair]) -> None:
    for name, items in ((key, [value for value, _ in pairs]), ("_" + key, [sibling for _, sibling in pairs])):
        if any(item is not None for item in items):
            owner[name] = items
        else:
            owner.pop(name, None)


def _store_one(owner: dict[str, Json], key: str, value: Json, sibling: Json) -> None:
    owner.update({name: item for name, item in ((key, value), ("_" + key, sibling)) if item is not None})
