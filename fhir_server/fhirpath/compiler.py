"""Syntax trees into Python closures. https://hl7.org/fhirpath/N1/

``compile_expression`` serves callers that have plain JSON; ``compile_step`` those that go on working with nodes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from fhir_server.fhirpath import ast, operators
from fhir_server.fhirpath.constants import Constants
from fhir_server.fhirpath.errors import EvaluationError, Unsupported
from fhir_server.fhirpath.evaluation import UNTRUSTED_BUDGET, Context, Step, integer, single
from fhir_server.fhirpath.functions import FUNCTIONS, Call
from fhir_server.fhirpath.functions.existence import distinct_items
from fhir_server.fhirpath.nodes import Item, Node, member, root, table
from fhir_server.fhirpath.parser import parse, parse_once
from fhir_server.fhirpath.quantity import parse_quantity
from fhir_server.fhirpath.temporal import parse_temporal
from fhir_server.fhirpath.types import type_test
from fhir_server.fhirpath.values import equality_key
from fhir_server.r4 import definitions
from fhir_server.r4.json import Json

_URLS = {
    "sct": "http://snomed.info/sct",
    "loinc": "http://loinc.org",
    "ucum": "http://unitsofmeasure.org",
}
_PREFIXES = {
    "vs-": "http://hl7.org/fhir/ValueSet/",
    "ext-": "http://hl7.org/fhir/StructureDefinition/",
}
"""https://hl7.org/fhir/R4/fhirpath.html#vars"""


@lru_cache(maxsize=4096)
def compile_step(expression: str, *, invariant: bool = False) -> Step:
    """Compile an expression of the specification, and remember it. Raises FhirPathSyntaxError, Unsupported."""
    return compile_tree(parse(expression), invariant=invariant)


def compile_tree(tree: ast.Node, *, invariant: bool = False) -> Step:
    """Compile to a function of (focus, context), both of this package's own kind.

    ``invariant`` selects the reading that R4's invariants were written for: see ``invariants``.
    Raises Unsupported for what this engine does not do.
    """
    return _Compiler(invariant).step(tree)


def compile_expression(expression: str, type_name: str) -> Callable[[Json, dict[str, Any], dict[str, Any]], list[Any]]:
    """Compile for elements of one type: ``evaluate(focus, resource, root_resource) -> list of JSON and System values``.

    ``focus`` is the JSON of an element of type ``type_name`` ("Patient", "HumanName", "Patient.contact"), ``resource``
    and ``root_resource`` what %resource and %rootResource stand for. The function raises EvaluationError where the
    input does not fit, or the work exceeds the budget for expressions from outside.
    Raises FhirPathSyntaxError, or Unsupported, or EvaluationError for a type that R4 does not have.
    """
    step = compile_tree(parse_once(expression))
    table(type_name)

    def evaluate(focus: Json, resource: dict[str, Any], root_resource: dict[str, Any]) -> list[Any]:
        items = run(step, root(focus, type_name), resource, root_resource)
        return [item.value if isinstance(item, Node) else item for item in items]

    return evaluate


def run(
    step: Step,
    focus: Node,
    resource: dict[str, Any],
    root_resource: dict[str, Any],
    *,
    memo: dict[Any, Any] | None = None,
    budget: int = UNTRUSTED_BUDGET,
) -> list[Item]:
    """Evaluate a compiled step on a node. Raises EvaluationError.

    ``memo`` may be shared by evaluations on the same unchanged resource: it keeps what depends on the resource alone.
    """
    own = focus if focus.value is resource else root(resource)
    container = own if root_resource is resource else root(root_resource)
    context = Context(focus, own, container, {} if memo is None else memo, budget)
    try:
        return step([focus], context)
    except RecursionError:
        raise EvaluationError("The resource is nested too deeply for this expression") from None


class _Compiler:
    def __init__(self, invariant: bool) -> None:
        self.invariant = invariant
        self.constants = Constants()
        self.remembering = False

    def step(self, node: ast.Node) -> Step:
        if self.remembering or not self.constants.is_costly(node):
            return self.uncached(node)
        # Its parts are constant as well, but one memory is enough.
        self.remembering = True
        compiled = self.uncached(node)
        self.remembering = False
        return _remembered(node, compiled)

    def uncached(self, node: ast.Node) -> Step:
        match node:
            case ast.Empty():
                return lambda focus, context: []
            case ast.Literal():
                return _constant(node.value)
            case ast.DateTimeLiteral():
                return _constant(_temporal(node))
            case ast.QuantityLiteral():
                return _constant(parse_quantity(node.value, node.unit, node.calendar))
            case ast.Variable():
                return _variable(node)
            case ast.Special():
                return _special(node)
            case ast.Member():
                return self.member(node)
            case ast.Function():
                return self.function(node)
            case ast.Indexer():
                return self.indexer(node)
            case ast.Unary():
                return operators.negate(self.step(node.operand), node.operator)
            case ast.TypeOperation():
                return self.type_operation(node.operator, self.step(node.operand), node.type)
            case ast.Operator():
                return self.operator(node)
            case _:
                raise Unsupported(f"{type(node).__name__} cannot stand here, at character {node.position + 1}")

    def member(self, node: ast.Member) -> Step:
        name = node.name
        if node.source is None and name[:1].isupper() and name in definitions.load().types:
            test = type_test(ast.TypeName(name))
            return lambda focus, context: [item for item in focus if test(item)]
        source = _focus if node.source is None else self.step(node.source)

        def select(focus: list[Item], context: Context) -> list[Item]:
            items = member(source(focus, context), name)
            context.spend(len(items))
            return items

        return select

    def function(self, node: ast.Function) -> Step:
        source = _focus if node.source is None else self.step(node.source)
        if node.name in ("is", "as", "ofType"):
            if len(node.arguments) != 1 or not isinstance(node.arguments[0], ast.TypeName):
                raise Unsupported(f"{node.name}() takes the name of one type, at character {node.position + 1}")
            return self.type_operation(node.name, source, node.arguments[0])
        definition = FUNCTIONS.get(node.name)
        if definition is None:
            raise Unsupported(f"There is no function {node.name}(), at character {node.position + 1}")
        if not definition.least <= len(node.arguments) <= definition.most:
            takes = " or ".join(map(str, sorted({definition.least, definition.most})))
            raise Unsupported(f"{node.name}() takes {takes} arguments, at character {node.position + 1}")
        outer = self.remembering
        self.remembering = outer and not definition.loops
        arguments = tuple(map(self.step, node.arguments))
        self.remembering = outer
        return definition.build(Call(source, arguments, node.arguments, self.invariant))

    def type_operation(self, operator: str, operand: Step, specifier: ast.TypeName) -> Step:
        test = type_test(specifier, invariant=self.invariant)
        if operator != "is":
            # R4 applies "as" to collections (dom-3, search parameters on lists): it filters, as ofType does.
            return lambda focus, context: [item for item in operand(focus, context) if test(item)]
        nothing = [False] if self.invariant else []

        def check(focus: list[Item], context: Context) -> list[Item]:
            items = operand(focus, context)
            return [test(single(items))] if items else nothing

        return check

    def indexer(self, node: ast.Indexer) -> Step:
        source, index = self.step(node.source), self.step(node.index)

        def pick(focus: list[Item], context: Context) -> list[Item]:
            at = integer(index(focus, context))
            items = source(focus, context)
            return [items[at]] if at is not None and 0 <= at < len(items) else []

        return pick

    def operator(self, node: ast.Operator) -> Step:
        if node.operator == "|":
            return self.union(node)
        left, right = self.step(node.left), self.step(node.right)
        if node.operator == "in" and self.constants.is_costly(node.right):
            return _in_constant(node.right, left, right)
        return operators.build(node.operator, left, right, undecided=True if self.invariant else None)

    def union(self, node: ast.Operator) -> Step:
        # a | b | c in one go: removing duplicates after each bar would cost the square of their number.
        parts: list[Step] = []
        rest: ast.Node = node
        while isinstance(rest, ast.Operator) and rest.operator == "|":
            parts.append(self.step(rest.right))
            rest = rest.left
        parts.append(self.step(rest))
        parts.reverse()

        def unite(focus: list[Item], context: Context) -> list[Item]:
            items = [item for part in parts for item in part(focus, context)]
            context.spend(len(items))
            return distinct_items(items) if len(items) > 1 else items

        return unite


def _focus(focus: list[Item], _context: Context) -> list[Item]:
    return focus


def _constant(value: Item) -> Step:
    return lambda focus, context: [value]


def _temporal(node: ast.DateTimeLiteral) -> Item:
    value = parse_temporal(node.text, node.kind)
    if value is None:
        raise Unsupported(f"{node} is no date or time that exists, at character {node.position + 1}")
    return value


def _variable(node: ast.Variable) -> Step:
    name = node.name
    if name == "resource":
        return lambda focus, context: [context.resource]
    if name == "rootResource":
        return lambda focus, context: [context.root]
    if name == "context":
        return lambda focus, context: [context.context]
    if name in _URLS:
        return _constant(_URLS[name])
    for prefix, url in _PREFIXES.items():
        if name.startswith(prefix):
            return _constant(url + name.removeprefix(prefix))
    raise Unsupported(f"There is no variable %{name}, at character {node.position + 1}")


def _special(node: ast.Special) -> Step:
    if node.name == "this":
        return _focus
    if node.name == "index":
        return lambda focus, context: [context.index]
    return lambda focus, context: context.total


def _remembered(node: ast.Node, compiled: Step) -> Step:
    text = str(node)

    def recall(focus: list[Item], context: Context) -> list[Item]:
        key = (text, id(context.resource.value))
        known: list[Item] | None = context.memo.get(key)
        if known is None:
            known = context.memo[key] = compiled(focus, context)
        return known

    return recall


def _in_constant(node: ast.Node, left: Step, right: Step) -> Step:
    text = f"set of {node}"

    def contained(focus: list[Item], context: Context) -> list[Item]:
        item = single(left(focus, context))
        if item is None:
            return []
        key = (text, id(context.resource.value))
        known: frozenset[Any] | None = context.memo.get(key)
        if known is None:
            known = context.memo[key] = frozenset(equality_key(other) for other in right(focus, context))
        return [equality_key(item) in known]

    return contained
