"""Search expressions as typed paths through a resource's JSON. https://hl7.org/fhir/R4/searchparameter.html

The standard expressions use a small part of FHIRPath: element paths, unions, ``as``, ``where(element = 'value')``,
``where(resolve() is Type)``, ``[0]``, ``%resource`` and one boolean. Types are decided from the definitions pack, so
that nothing is left to decide when a resource is written but which elements it has. What a tenant's own parameter
asks for beyond that is one step, `Computed`, which FHIRPath's compiler evaluates.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from fhir_server.fhirpath import ast
from fhir_server.fhirpath.compiler import compile_tree
from fhir_server.fhirpath.parser import parse
from fhir_server.fhirpath.static_types import UnknownElement
from fhir_server.r4 import definitions
from fhir_server.search.expression_types import result_types


@dataclass(frozen=True, slots=True)
class Child:
    """A step to the JSON property ``name``; ``many`` when it is an array."""

    name: str
    many: bool


@dataclass(frozen=True, slots=True)
class First:
    """A step to the JSON property ``name``, an array, of which the first item alone counts: ``entry[0]``."""

    name: str


@dataclass(frozen=True, slots=True)
class WhereEquals:
    """Goes on only where the primitive ``name`` of the value equals ``value``: ``where(system='phone')``."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class WhereType:
    """Goes on only where the Reference is to a resource of this type: ``where(resolve() is Patient)``."""

    type: str


@dataclass(frozen=True, slots=True)
class IsTrue:
    """Ends a path with a boolean: whether ``element`` is there and not false. ``names`` are its JSON properties."""

    element: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Computed:
    """A step to what FHIRPath finds: ``expression`` evaluated on a value of the type ``root``."""

    expression: str
    root: str


@dataclass(frozen=True, slots=True)
class OfType:
    """Follows Computed: goes on only where the value found has this type."""

    type: str


Step = Child | First | WhereEquals | WhereType | IsTrue | Computed | OfType


@dataclass(frozen=True, slots=True)
class Path:
    """Steps from a root to the values of one type.

    ``type`` is the type's name in the pack; ``value_set`` the required binding of the last element or "". A path that
    starts at %resource instead of the focus has ``from_resource``.
    """

    steps: tuple[Step, ...]
    type: str
    value_set: str = ""
    from_resource: bool = False

    @property
    def many(self) -> bool:
        """Whether a resource may have more than one value here."""
        return any(isinstance(step, Computed) or (isinstance(step, Child) and step.many) for step in self.steps)


_NO_TEXTS = frozenset(("boolean", "integer", "positiveInt", "unsignedInt", "decimal", "xhtml"))


class Unsupported(ValueError):
    """The expression is outside the part of FHIRPath that search parameters are generated from."""


@lru_cache(maxsize=8_192)
def paths(expression: str, root: str, *, in_type: str = "") -> tuple[Path, ...]:
    """The paths of a search expression that start at the type ``root``, in the order written.

    ``root`` is a resource type or, for the components of composites, any type. Parts of a union that start at another
    resource type are left out. ``in_type`` is the type of %resource. Raises Unsupported.
    https://hl7.org/fhir/R4/searchparameter-definitions.html#SearchParameter.expression
    """
    found: list[Path] = []
    for part in _union(parse(expression)):
        walker = _Walker(root, in_type or root)
        try:
            ways = walker.walk(part)
        except Unsupported:
            ways = _computed(part, root)
        found.extend(path for path in ways if path not in found)
    return tuple(found)


def _computed(node: ast.Node, root: str) -> list[Path]:
    """What the walk does not know is evaluated by FHIRPath's compiler, if its text tells the types of the values."""
    if _starts_elsewhere(node, root):
        return []
    try:
        compile_tree(node)
        types = result_types(node, root)
    except UnknownElement as error:
        raise Unsupported(f"{str(error).rstrip('?')}, at character {error.position + 1}") from None
    except ValueError as error:
        raise Unsupported(str(error)) from None
    return [Path((Computed(str(node), root), OfType(name)), name) for name in sorted(types)]


def _starts_elsewhere(node: ast.Node, root: str) -> bool:
    """Whether every type that the expression starts at is another resource type than this one."""
    pack = definitions.load()
    named = {
        one.name
        for one in node.walk()
        if isinstance(one, ast.Member) and one.source is None and one.name in pack.types and one.name[:1].isupper()
    }
    return bool(named) and named.isdisjoint((root, *ancestors(root)))


def ancestors(type_name: str) -> list[str]:
    """The types that this one is derived from, the nearest first."""
    pack, chain = definitions.load(), []
    name = pack.types[type_name].base
    while name:
        chain.append(name)
        name = pack.types[name].base if name in pack.types else ""
    return chain


def _union(node: ast.Node) -> list[ast.Node]:
    if isinstance(node, ast.Operator) and node.operator == "|":
        return [*_union(node.left), *_union(node.right)]
    return [node]


class _Walker:
    def __init__(self, root: str, in_type: str) -> None:
        self.pack = definitions.load()
        self.root = root
        self.in_type = in_type

    def walk(self, node: ast.Node) -> list[Path]:
        match node:
            case ast.Member(source=None, name=name):
                return self.first(name)
            case ast.Variable(name="resource"):
                return [Path((), self.in_type, from_resource=True)]
            case ast.Member(source=source, name=name) if source is not None:
                return [step for path in self.walk(source) for step in self.child(path, name)]
            case ast.TypeOperation(operator="as", operand=operand, type=wanted):
                return self.only(self.walk(operand), wanted.name)
            case ast.Function(source=source, name="as" | "ofType", arguments=(ast.TypeName(name=wanted),)) if source:
                return self.only(self.walk(source), wanted)
            case ast.Function(source=source, name="where", arguments=(criterion,)) if source is not None:
                return [self.where(path, criterion) for path in self.walk(source)]
            case ast.Function(source=source, name="extension", arguments=(ast.Literal(value=str(url)),)) if source:
                found = [step for path in self.walk(source) for step in self.child(path, "extension")]
                return [Path((*p.steps, WhereEquals("url", url)), p.type, "", p.from_resource) for p in found]
            case ast.Indexer(source=source, index=ast.Literal(value=0)):
                return [self.first_item(path) for path in self.walk(source)]
            case ast.Operator(operator="and"):
                return self.truth(node)
        raise Unsupported(f"{node} is not supported in a search expression")

    def first(self, name: str) -> list[Path]:
        """The first name of a path is the type it starts at, or an element of the focus."""
        if name == self.root or name in ancestors(self.root):
            return [Path((), self.root)]
        if name[:1].isupper():
            return []
        return self.child(Path((), self.root), name)

    def child(self, path: Path, name: str) -> list[Path]:
        # A primitive is no object in JSON; what belongs to it stands in a property of its own.
        if path.type not in self.pack.types or self.pack.types[path.type].kind == "primitive":
            raise Unsupported(f"{path.type} has no elements in JSON")
        element = self.pack.types[path.type].elements.get(name)
        if element is None:
            raise Unsupported(f"{path.type} has no element {name}")
        many = element.max != 1
        return [
            Path((*path.steps, Child(json_name, many)), ref.code, element.value_set, path.from_resource)
            for json_name, ref in element.json_names().items()
        ]

    def only(self, candidates: list[Path], wanted: str) -> list[Path]:
        # The published expressions also write a type with a wrong capital: value.as(DateTime).
        kept = [path for path in candidates if path.type.lower() == wanted.lower()]
        if candidates and not kept:
            raise Unsupported(f"no {wanted} among {', '.join(path.type for path in candidates)}")
        return kept

    def where(self, path: Path, criterion: ast.Node) -> Path:
        match criterion:
            case ast.Operator(
                operator="=", left=ast.Member(source=None, name=name), right=ast.Literal(value=str(value))
            ):
                if not self.is_text(path, name):
                    raise Unsupported(f"{name} of {path.type} is not one text in JSON")
                step: Step = WhereEquals(name, value)
            case ast.TypeOperation(operator="is", operand=ast.Function(source=None, name="resolve"), type=wanted) if (
                path.type in ("Reference", "Resource") and wanted.name in self.pack.type_ids
            ):
                step = WhereType(wanted.name)
            case _:
                raise Unsupported(f"where({criterion}) is not supported in a search expression")
        return Path((*path.steps, step), path.type, path.value_set, path.from_resource)

    def is_text(self, path: Path, name: str) -> bool:
        """Whether ``name`` is one primitive that JSON writes as a text."""
        kind = self.pack.types.get(path.type)
        element = kind.elements.get(name) if kind is not None and kind.kind != "primitive" else None
        if element is None or element.max != 1 or element.choice:
            return False
        code = element.types[0].code
        return self.pack.types[code].kind == "primitive" and code not in _NO_TEXTS

    def first_item(self, path: Path) -> Path:
        last = path.steps[-1] if path.steps else None
        if not isinstance(last, Child) or Path(path.steps[:-1], "").many:
            raise Unsupported("[0] is supported behind a single element alone")
        return Path((*path.steps[:-1], First(last.name)), path.type, path.value_set, path.from_resource)

    def truth(self, node: ast.Operator) -> list[Path]:
        """``X.exists() and X != false``, as Patient.deceased has it."""
        match node.left, node.right:
            case (
                ast.Function(source=ast.Member(source=ast.Member(source=None, name=root), name=name), name="exists"),
                ast.Operator(operator="!=", left=ast.Member() as left, right=ast.Literal(value=False)),
            ) if str(left) == f"{root}.{name}":
                if root != self.root:
                    return []
                if name not in self.pack.types[root].elements:
                    raise Unsupported(f"{root} has no element {name}")
                element = self.pack.types[root].elements[name]
                return [Path((IsTrue(name, tuple(element.json_names())),), "boolean")]
        raise Unsupported(f"{node} is not supported in a search expression")


@lru_cache(maxsize=2_048)
def single_valued(expression: str, root: str) -> bool:
    """Whether a resource has at most one value: every path leads to one and the same element, which has max 1."""
    found = paths(expression, root)
    if not found or any(path.many or not path.steps for path in found):
        return False
    if len(found) == 1:
        return True
    if len({path.steps[:-1] for path in found}) > 1 or not all(isinstance(path.steps[-1], Child) for path in found):
        return False
    names = {path.steps[-1].name for path in found if isinstance(path.steps[-1], Child)}
    holders = [kind for kind in definitions.load().types.values() if kind.name == _holder(root, found[0])]
    return any(names <= element.json_names().keys() for kind in holders for element in kind.elements.values())


def _holder(root: str, path: Path) -> str:
    """The type whose element the last step of a path of plain steps is."""
    pack, current = definitions.load(), root
    for step in path.steps[:-1]:
        if isinstance(step, Child):
            current = next(
                e.json_names()[step.name].code
                for e in pack.types[current].elements.values()
                if step.name in e.json_names()
            )
    return current
