"""A query laid out against the types: which fields with which arguments, all of it checked before anything is read.

https://spec.graphql.org/October2021/#sec-Validation and https://hl7.org/fhir/R4/graphql.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from graphql.language import (
    DirectiveNode,
    FieldNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    SelectionSetNode,
)

from fhir_server.graphql import schema
from fhir_server.graphql.document import Document, Limits
from fhir_server.graphql.problems import RequestError
from fhir_server.graphql.schema import Field
from fhir_server.graphql.values import Value, Variables, text
from fhir_server.search.registry import Registry
from fhir_server.search.suggest import shown

SelectionSets = tuple[SelectionSetNode, ...]

_DIRECTIVES: dict[str, tuple[str, ...]] = {
    "skip": ("if",), "include": ("if",), "flatten": (), "singleton": (), "first": (), "slice": ("fhirpath", "path"),
}  # fmt: skip
_PAGED = {"_offset", "_count", "fhirpath"}


@dataclass(frozen=True, slots=True, eq=False)
class FieldPlan:
    """One field to be answered, under the name ``key``.

    ``arguments`` hold values; for a search ``criteria`` are its parameters instead, and ``reference`` the parameter
    that leads back to the resource ("" at the root). ``selections`` are to be answered of each value.
    """

    key: str
    field: Field
    node: FieldNode
    arguments: dict[str, Value]
    selections: SelectionSets
    criteria: tuple[tuple[str, str], ...] = ()
    reference: str = ""
    flatten: bool = False
    singleton: bool = False
    first: bool = False
    slice: str = ""

    @property
    def plain(self) -> bool:
        """Whether the value is what stands in the JSON under the field's name."""
        shaped = self.arguments or self.singleton or self.first or self.slice
        return self.field.kind == "primitive" and not shaped


@dataclass(slots=True)
class Planner:
    """Lays out selection sets, each once for each type that it meets.

    `check` goes through everything that may be asked of any type, and raises RequestError for what cannot be.
    """

    document: Document
    variables: Variables
    limits: Limits
    registry: Registry
    _plans: dict[tuple[str, int], tuple[SelectionSets, tuple[FieldPlan, ...]]] = field(default_factory=dict)
    _checked: set[tuple[str, tuple[int, ...]]] = field(default_factory=set)
    _planned: int = 0

    def check(self, type_name: str, sets: SelectionSets) -> None:
        """Check the selections on values of a type, and all below. Raises RequestError."""
        place = (type_name, tuple(map(id, sets)))
        if place in self._checked:
            return
        self._checked.add(place)
        for plan in self.fields(type_name, sets):
            if plan.field.kind not in ("primitive", "typename"):
                self.check(plan.field.type, plan.selections)
        if type_name == "Resource":
            # What the value will be is not known: every type that a fragment speaks of may come.
            for name in dict.fromkeys(self._conditions(sets)):
                if schema.is_resource(name):
                    self.check(name, sets)
                elif name not in ("Resource", "DomainResource"):
                    raise RequestError(f"{shown(name)} is no resource type of FHIR R4.", sets[0])

    def fields(self, type_name: str, sets: SelectionSets) -> tuple[FieldPlan, ...]:
        """The fields that are asked for of a value of this type, in order, each under a key of its own."""
        place = (type_name, id(sets))
        found = self._plans.get(place)
        if found is None:
            # The sets are kept beside their plans: so no others get the same identity.
            found = self._plans[place] = (sets, tuple(self._collected(type_name, sets)))
        return found[1]

    def _collected(self, type_name: str, sets: SelectionSets) -> Iterator[FieldPlan]:
        nodes: dict[str, list[FieldNode]] = {}
        for selections in sets:
            self._collect(type_name, selections, nodes, set())
        for key, same in nodes.items():
            self._planned += 1
            if self._planned > self.limits.fields:
                raise RequestError(f"The query asks for more than {self.limits.fields} fields.", code="too-costly")
            yield self._plan(type_name, key, same)

    def _collect(
        self, type_name: str, selections: SelectionSetNode, nodes: dict[str, list[FieldNode]], spread: set[str]
    ) -> None:
        if not selections.selections:
            raise RequestError("Between braces stands at least one field.", selections, code="structure")
        for node in selections.selections:
            if not self.variables.holds(tuple(node.directives or ())):
                continue
            if isinstance(node, FieldNode):
                nodes.setdefault((node.alias or node.name).value, []).append(node)
                continue
            inside = self._fragment(node, spread)
            if inside is not None and (not inside[0] or inside[0] in schema.names_of(type_name)):
                self._collect(type_name, inside[1], nodes, spread)

    def _fragment(self, node: object, spread: set[str]) -> tuple[str, SelectionSetNode] | None:
        """The type that a fragment speaks of ("" for any) and its selections; None for one met before."""
        if isinstance(node, InlineFragmentNode):
            return (node.type_condition.name.value if node.type_condition else ""), node.selection_set
        if not isinstance(node, FragmentSpreadNode):
            raise TypeError(type(node).__name__)
        name = node.name.value
        if name in spread:
            return None
        spread.add(name)
        fragment = self.document.fragments[name]
        return fragment.type_condition.name.value, fragment.selection_set

    def _conditions(self, sets: SelectionSets) -> Iterator[str]:
        spread: set[str] = set()
        waiting = list(sets)
        while waiting:
            for node in waiting.pop().selections:
                if isinstance(node, FieldNode):
                    continue
                inside = self._fragment(node, spread)
                if inside is not None:
                    if inside[0]:
                        yield inside[0]
                    waiting.append(inside[1])

    def _plan(self, type_name: str, key: str, nodes: list[FieldNode]) -> FieldPlan:
        node = nodes[0]
        name = node.name.value
        found = schema.field(type_name, name)
        if found is None:
            what = f"{schema.graphql_name(type_name)} has no field {shown(name)}"
            if type_name == "Resource":
                what += " of its own: ask for it in a fragment such as ... on Patient { }"
            raise RequestError(what + schema.did_you_mean(type_name, name), node)
        arguments = self.variables.arguments(node)
        for other in nodes[1:]:
            if other.name.value != name or self.variables.arguments(other) != arguments:
                raise RequestError(f"{shown(key)} stands for two different things; give one of them an alias.", other)
        sets = tuple(one.selection_set for one in nodes if one.selection_set is not None)
        leaf = found.kind in ("primitive", "typename")
        if leaf and sets:
            raise RequestError(f"{shown(name)} is a value and has no fields.", node)
        if not leaf and not any(one.selections for one in sets):
            raise RequestError(f"{shown(name)} is an object: say which of its fields, as in {name} {{ id }}.", node)
        directives = self._directives(nodes)
        criteria: tuple[tuple[str, str], ...] = ()
        reference = ""
        if found.kind in ("list", "connection"):
            criteria, reference, arguments = _search(self.registry, type_name, found, node, arguments)
        else:
            _check_arguments(found, node, arguments)
            if type_name.startswith("__"):
                # Nothing here is deprecated, so includeDeprecated chooses nothing.
                arguments = {}
        return FieldPlan(
            key,
            found,
            node,
            arguments,
            sets,
            criteria,
            reference,
            flatten="flatten" in directives and not leaf,
            singleton="singleton" in directives,
            first="first" in directives,
            slice=_slice(directives.get("slice"), self.variables),
        )

    def _directives(self, nodes: list[FieldNode]) -> dict[str, DirectiveNode]:
        found = {}
        for node in nodes:
            for directive in node.directives or ():
                name = directive.name.value
                if name not in _DIRECTIVES:
                    known = ", ".join("@" + one for one in _DIRECTIVES)
                    raise RequestError(f"There is no directive {shown('@' + name)}; there are {known}.", directive)
                for argument in directive.arguments or ():
                    if argument.name.value not in _DIRECTIVES[name]:
                        raise RequestError(f"@{name} has no argument {shown(argument.name.value)}.", argument)
                found[name] = directive
        return found


def _slice(directive: DirectiveNode | None, variables: Variables) -> str:
    if directive is None:
        return ""
    given = list(variables.arguments(directive).values())
    if len(given) != 1 or not isinstance(given[0], str) or not given[0]:
        raise RequestError('@slice needs one FHIRPath expression, as in @slice(fhirpath: "use").', directive)
    return given[0]


def _check_arguments(found: Field, node: FieldNode, arguments: dict[str, Value]) -> None:
    """What may stand in the brackets of a property, of a Reference's resource, or of a read."""
    for name, value in arguments.items():
        known = _known_argument(found, name)
        if not known or isinstance(value, list):
            raise RequestError(f"{shown(node.name.value)} has no argument {shown(name)} of this kind.", node)
        if name in ("_offset", "_count") and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
            raise RequestError(f"{name} is a whole number from 0.", node)
        if name == "optional" and not isinstance(value, bool):
            raise RequestError("optional is true or false.", node)
        if name == "type" and found.kind == "reference" and not schema.is_resource(str(value)):
            raise RequestError(f"{shown(str(value))} is no resource type of FHIR R4.", node)
        if name == "fhirpath" and not isinstance(value, str):
            raise RequestError("fhirpath is an expression, as in (fhirpath: \"use = 'home'\").", node)
    if found.name == "__type" and not isinstance(arguments.get("name"), str):
        raise RequestError('__type needs a name, as in __type(name: "Patient").', node, code="required")
    if found.kind == "id" and "id" not in arguments and "_id" not in arguments:
        raise RequestError(f'{found.name} needs an id, as in {found.name}(id: "123").', node, code="required")


def _known_argument(found: Field, name: str) -> bool:
    if found.kind == "id":
        return name in ("id", "_id")
    if found.kind == "reference":
        return name in ("optional", "type")
    if found.kind == "meta":
        return name == "name" and found.name == "__type"
    if found.type.startswith("__"):
        return name == "includeDeprecated"
    if not found.repeats:
        return False
    if name in _PAGED:
        return True
    inner = schema.elements(found.type).get(name) if found.kind == "object" else None
    return inner is not None and inner.kind == "primitive" and not inner.repeats


def _search(
    registry: Registry, type_name: str, found: Field, node: FieldNode, arguments: dict[str, Value]
) -> tuple[tuple[tuple[str, str], ...], str, dict[str, Value]]:
    """The parameters of a search, the reference by which it leads back, and the arguments that are neither."""
    resource_type = schema.searched_type(found.name)
    criteria: list[tuple[str, str]] = []
    others: dict[str, Value] = {}
    reference = ""
    for name, value in arguments.items():
        if name == "_reference" and type_name != schema.QUERY:
            reference = _back(registry, resource_type, type_name, str(value), node)
        elif name == "_cursor" and found.kind == "connection" and isinstance(value, str):
            others[name] = value
        else:
            parameter = schema.parameter_name(registry, resource_type, name)
            if parameter is None:
                known = ", ".join(sorted(registry.parameters(resource_type))).replace("-", "_")
                raise RequestError(
                    f"{found.name} has no argument {shown(name)}; there are _count, _sort and the search parameters "
                    f"of {resource_type}: {known}.",
                    node,
                )
            criteria += [(parameter, text(one)) for one in (value if isinstance(value, list) else [value])]
    if type_name != schema.QUERY and not reference:
        raise RequestError(
            f"{found.name} needs to know which of its references leads here, as in (_reference: subject).",
            node,
            code="required",
        )
    return tuple(criteria), reference, others


def _back(registry: Registry, resource_type: str, type_name: str, argument: str, node: FieldNode) -> str:
    """The code of the reference parameter named by ``_reference``. https://hl7.org/fhir/R4/graphql.html#reverse"""
    known = schema.references_back(registry.parameters(resource_type), type_name)
    code = known.get(argument.replace("-", "_"))
    if code is None:
        valid = f"; there are {', '.join(sorted(known))}" if known else ""
        raise RequestError(f"No reference {shown(argument)} leads from {resource_type} to {type_name}{valid}.", node)
    return code
