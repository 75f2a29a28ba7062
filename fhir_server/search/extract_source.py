"""Python source that finds the values of all search parameters of one resource type in a single walk.

The paths of all parameters become one tree, so that what they share is walked once: ``Observation.code`` is looked up
once for code, combo-code and six composites. https://hl7.org/fhir/R4/searchparameter-registry.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhir_server.r4 import definitions, references
from fhir_server.search.expression_values import evaluator
from fhir_server.search.paths import (
    Child,
    Computed,
    First,
    IsTrue,
    OfType,
    Path,
    Step,
    WhereEquals,
    WhereType,
    paths,
)
from fhir_server.search.registry import Parameter, parameters
from fhir_server.search.token_variants import CODED
from fhir_server.search.types import BY_TYPE, composite, reference, special, token
from fhir_server.store.index_rows import IndexRows

Write = Callable[[Any, tuple[int, ...], IndexRows, Any], None]


@dataclass(frozen=True, slots=True)
class _Combination:
    """A composite at the node of its first component: the element that holds all components, and those still to find.

    One whose first component is outside of the element (%resource) is at the element's node, with no ``kinds`` yet.
    """

    parameter: Parameter
    element: _Node
    kinds: tuple[tuple[str, str], ...]
    rest: tuple[composite.Part, ...]


@dataclass(slots=True, eq=False)
class _Node:
    """A place in the resource: what is written of the values there, and the steps that lead on.

    ``variable`` is the name that a value there has, once its code is being written.
    """

    writes: dict[str, list[int]] = field(default_factory=dict)
    params: list[int] = field(default_factory=list)
    combinations: list[_Combination] = field(default_factory=list)
    primitive: bool = False
    patient: bool = False
    variable: str = ""
    children: dict[Step, _Node] = field(default_factory=dict)

    def at(self, steps: tuple[Step, ...]) -> _Node:
        node = self
        for step in steps:
            node = node.children.setdefault(step, _Node())
        return node


def generate(resource_type: str, custom: Sequence[Parameter] = ()) -> tuple[str, dict[str, Any]]:
    """The source of ``extract(r, rows, hasher)`` for one resource type, and the names that it uses.

    ``custom`` are a tenant's own parameters of this type, beside the standard ones. The function expects a resource
    that validation has accepted. Raises KeyError for a name that is no resource type, Unsupported for a parameter of
    ``custom`` that search/custom.py would refuse.
    """
    writer = _Writer(resource_type, (*parameters(resource_type).values(), *custom))
    writer.place_patient()
    return writer.source(), writer.names


def generate_contained(resource_type: str, numbered: Sequence[Parameter]) -> tuple[str, dict[str, Any]]:
    """The same for a contained resource, whose parameters have other numbers: it names neither a patient nor a URL for
    the resource that contains it."""
    writer = _Writer(resource_type, numbered, contained=True)
    return writer.source(), writer.names


def is_of_type(value: dict[str, Any], wanted: str, resource: dict[str, Any]) -> bool:
    """``resolve() is Type`` without resolving: by what a Reference says, or what a contained resource is.

    https://hl7.org/fhir/R4/references.html#Reference
    """
    if "resourceType" in value:
        return bool(value["resourceType"] == wanted)
    text = value.get("reference")
    if text is not None:
        if text.startswith("#"):
            contained = resource.get("contained", ())
            return any(one.get("id") == text[1:] and one.get("resourceType") == wanted for one in contained)
        named = references.named_type(text)
        if named:
            return named == wanted
    return bool(value.get("type") == wanted)


def _tuple(params: list[int]) -> str:
    return f"({', '.join(map(str, params))},)"


class _Writer:
    def __init__(self, resource_type: str, known: Sequence[Parameter], *, contained: bool = False) -> None:
        self.resource_type = resource_type
        self.contained = contained
        self.names: dict[str, Any] = {"is_of_type": is_of_type}
        self.lines: list[str] = []
        self.depth = 1
        self.variables = 0
        self.root = _Node()
        for parameter in known:
            self.place(parameter)

    def source(self) -> str:
        self.line("params = rows.params", 1)
        if self.resource_type == "Patient" and not self.contained:
            self.line('if "id" in r: rows.patient = hasher.uncached("Patient/" + r["id"])', 1)
        if reference.has_url(self.resource_type) and not self.contained:
            self.names["own_url"] = reference.canonical_url
            self.line(f'if "url" in r: own_url(r, ({reference.own_url(self.resource_type)},), rows, hasher)', 1)
        self.emit(self.root, "r")
        return "\n".join(["def extract(r, rows, hasher):", *self.lines, ""])

    # Placing parameters in the tree.

    def place(self, parameter: Parameter) -> None:
        if not parameter.expression or parameter.code in special.COLUMNS:
            return
        found = paths(parameter.expression, parameter.resource_type)
        coded = any(path.type in CODED for path in found)
        for path in found:
            for steps in self.by_target(path, parameter):
                write = BY_TYPE[parameter.type].EXTRACT.get(path.type) if parameter.type != "composite" else None
                if write is None and isinstance(steps[-1] if steps else None, OfType) and parameter.type != "composite":
                    # One of the types that an expression may yield, and none that this parameter has values of.
                    continue
                node = self.root.at(steps)
                if parameter.type == "composite":
                    self.place_composite(parameter, path.type, node)
                    continue
                node.primitive = path.type[0].islower()
                node.params.append(parameter.param)
                if coded and write in (token.fixed, token.boolean):
                    write = token.fixed_among_coded
                if write is not None:
                    node.writes.setdefault(self.name(parameter.type, path.type, write), []).append(parameter.param)

    def place_composite(self, parameter: Parameter, root: str, element: _Node) -> None:
        parts = composite.parts(parameter, root)
        if any(path.from_resource for path in parts[0].paths):
            element.combinations.append(_Combination(parameter, element, (), parts))
            return
        for path in parts[0].paths:
            kinds = ((parts[0].kind, path.type),)
            element.at(path.steps).combinations.append(_Combination(parameter, element, kinds, parts[1:]))

    def by_target(self, path: Path, parameter: Parameter) -> list[tuple[Step, ...]]:
        """Where any resource may stand, those of the parameter's target types alone are its values."""
        if path.type == "Resource":
            return [(*path.steps, WhereType(target)) for target in parameter.targets]
        return [path.steps]

    def place_patient(self) -> None:
        code = definitions.load().patient_path.get(self.resource_type)
        if code is None:
            return
        parameter = parameters(self.resource_type)[code]
        for path in paths(parameter.expression, self.resource_type):
            steps = path.steps if WhereType("Patient") in path.steps else (*path.steps, WhereType("Patient"))
            self.root.at(steps).patient = True

    def name(self, parameter_type: str, path_type: str, write: Write) -> str:
        name = f"{parameter_type}_{path_type}_{write.__name__}".replace(".", "_")
        self.names[name] = write
        return name

    # Writing the walk.

    def line(self, text: str, depth: int | None = None) -> None:
        self.lines.append("    " * (self.depth if depth is None else depth) + text)

    def variable(self) -> str:
        self.variables += 1
        return f"v{self.variables}"

    def open(self, step: Step, value: str, *, primitive: bool = False) -> str:
        """Write the step from a variable; what follows at the new depth runs for each value, in the variable returned.

        ``primitive`` says that the values are primitives, whose arrays may hold nulls. The caller sets the depth back.
        """
        found = self.variable()
        match step:
            # Most elements are not there: "in" costs half of what get() does.
            case Child(name=name, many=many):
                self.line(f'if "{name}" in {value}:')
                self.depth += 1
                if many:
                    self.line(f'for {found} in {value}["{name}"]:')
                    self.depth += 1
                else:
                    self.line(f'{found} = {value}["{name}"]')
                if primitive:
                    self.line(f"if {found} is not None:")
                    self.depth += 1
            case First(name=name):
                self.line(f'for {found} in {value}.get("{name}", ())[:1]:')
                self.depth += 1
            case WhereEquals(name=name, value=wanted):
                # Of a client's own expression: any text.
                self.line(f'if {value}.get("{name}") == {wanted!r}:')
                self.depth += 1
                found = value
            case WhereType(type=wanted):
                self.line(f'if is_of_type({value}, "{wanted}", r):')
                self.depth += 1
                found = value
            case Computed(expression=expression, root=root):
                evaluate = f"evaluate{len(self.names)}"
                self.names[evaluate] = evaluator(expression, root)
                self.line(f"for {found} in {evaluate}({value}, r, rows):")
                self.depth += 1
            case OfType(type=wanted):
                self.line(f"if {value}[0] == {wanted!r}:")
                self.depth += 1
                self.line(f"{found} = {value}[1]")
            case IsTrue(names=names):
                tests = " or ".join(f'{value}.get("{name}") not in (None, False)' for name in names)
                self.line(f"{found} = {tests}")
        return found

    def emit(self, node: _Node, value: str) -> None:
        node.variable = value
        if len(node.params) == 1:
            self.line(f"params.append({node.params[0]})")
        elif node.params:
            self.line(f"params += {_tuple(node.params)}")
        for name, written in node.writes.items():
            self.line(f"{name}({value}, {_tuple(written)}, rows, hasher)")
        if node.patient:
            self.names["target"] = references.target
            self.line(f'patient = target({value}.get("reference", ""))')
            self.line("if patient: rows.patient = hasher(patient)")
        for combination in node.combinations:
            found = [value] if combination.kinds else []
            self.emit_combination(combination, combination.rest, combination.kinds, found)
        for step, child in node.children.items():
            depth = self.depth
            self.emit(child, self.open(step, value, primitive=child.primitive))
            self.depth = depth

    def emit_combination(
        self, one: _Combination, rest: tuple[composite.Part, ...], kinds: tuple[tuple[str, str], ...], found: list[str]
    ) -> None:
        """Nest one component inside of the other, so that the innermost line runs for each combination of values."""
        param = one.parameter.param
        if not rest:
            self.names["write_composite"] = composite.write
            self.names[f"kinds{len(self.names)}"] = kinds
            self.line(f"params.append({param})")
            self.line(f"write_composite({param}, kinds{len(self.names) - 1}, ({', '.join(found)},), rows, hasher)")
            return
        for path in rest[0].paths:
            depth = self.depth
            value = "r" if path.from_resource else one.element.variable
            for step in path.steps:
                value = self.open(step, value)
            self.emit_combination(one, rest[1:], (*kinds, (rest[0].kind, path.type)), [*found, value])
            self.depth = depth
