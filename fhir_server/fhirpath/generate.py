"""Invariants as generated Python source, written from the definitions. https://hl7.org/fhir/R4/fhirpath.html

``name.exists() or telecom.exists()`` on a Patient becomes ``("name" in n) or ("telecom" in n)``. FHIRPath's logic has
three values; instead of carrying the third, each operand is written twice, as "surely true" and as "surely false".
What is outside this subset becomes a call of the compiled closure, in the same place, so that most invariants never
reach it. The source relies on valid structure: where it does not find that, the caller evaluates the closure for all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fhir_server.fhirpath import ast
from fhir_server.fhirpath.compiler import compile_tree, run
from fhir_server.fhirpath.evaluation import TRUSTED_BUDGET, boolean
from fhir_server.fhirpath.functions.strings import regular_expression
from fhir_server.fhirpath.nodes import root, table
from fhir_server.fhirpath.temporal import compare_temporals, parse_temporal
from fhir_server.fhirpath.types import SYSTEM_OF
from fhir_server.fhirpath.values import TEMPORAL_TYPES
from fhir_server.r4 import definitions
from fhir_server.r4.definitions import Element

Holds = Callable[[Any, Any, Any, Any], bool]

_TESTS = {"startsWith": "startswith", "endsWith": "endswith"}
_ORDERS = {"<": "<", "<=": "<=", ">": ">", ">=": ">="}
_DEFINITE_OPERATORS = {"and": "{} and {}", "or": "{} or {}", "xor": "{} != {}", "implies": "not {} or {}"}
_KEEPS_EMPTY = frozenset(("where", "select", "first", "last", "tail", "repeat", "trace", "ofType", "as", "distinct"))


class _Beyond(Exception):
    """The expression is outside the subset that is written as source."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Source of a JSON object, and its type; ``resource`` is the type of the resource around it, "" if not known."""

    code: str
    type: str
    resource: str

    def element(self, name: str) -> Element:
        known = definitions.load().types[self.type]
        element = known.elements.get(name)
        if element is None or known.kind == "primitive":
            raise _Beyond
        return element


def generate(expression: ast.Node, type_name: str) -> Holds:
    """Compile the invariant for elements of a type to ``holds(n, r, root, memo)``; ``n`` must be a dict.

    It may raise TypeError, AttributeError, KeyError or EvaluationError on invalid structure.
    """
    known = definitions.load().types
    outer = type_name.split(".", 1)[0]
    resource = outer if known[outer].kind == "resource" and not known[outer].abstract else ""
    generator = _Generator()
    code = generator.true(expression, _Place("n", type_name, resource))
    namespace: dict[str, Any] = dict(generator.constants)
    exec(f"def holds(n, r, root, memo):\n    return {code}", namespace)  # noqa: S102 - written above, from our own tree
    holds: Holds = namespace["holds"]
    return holds


class _Generator:
    def __init__(self) -> None:
        self.constants: dict[str, Any] = {"E": {}, "order": _temporal_order}
        self.variables = 0

    def constant(self, value: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = value
        return name

    def variable(self) -> str:
        self.variables += 1
        return f"v{self.variables}"

    # Truth: what an expression surely is.

    def true(self, node: ast.Node, at: _Place) -> str:
        """Source that is true where the expression is true: not where it is false or empty."""
        try:
            return self.surely(node, at, True)
        except _Beyond:
            return f"{self.closure(node, at)} is True"

    def false(self, node: ast.Node, at: _Place) -> str:
        """Source that is true where the expression is false: not where it is true or empty."""
        try:
            return self.surely(node, at, False)
        except _Beyond:
            return f"{self.closure(node, at)} is False"

    def surely(self, node: ast.Node, at: _Place, wanted: bool) -> str:
        try:
            code = self.definite(node, at)
        except _Beyond:
            pass
        else:
            return code if wanted else f"(not {code})"
        match node:
            case ast.Function(name="not", source=ast.Node() as source):
                return self.false(source, at) if wanted else self.true(source, at)
            case ast.Function(name="trace", source=ast.Node() as source):
                return self.surely(source, at, wanted)
            case ast.Operator(operator="and"):
                return self.join("and" if wanted else "or", node, at, wanted, wanted)
            case ast.Operator(operator="or"):
                return self.join("or" if wanted else "and", node, at, wanted, wanted)
            case ast.Operator(operator="implies"):
                return self.join("or" if wanted else "and", node, at, not wanted, wanted)
            case ast.Operator(operator="xor"):
                same = self.join("and", node, at, True, not wanted)
                return f"({same} or {self.join('and', node, at, False, wanted)})"
            case ast.Operator(operator="=" | "!="):
                return self.equality(node, at, wanted is (node.operator == "="))
            case ast.Operator(operator="in"):
                return self.membership(node, at, wanted)
            case ast.Operator(operator="<" | "<=" | ">" | ">="):
                return self.order(node, at, wanted)
            case ast.Member():
                owner, element = self.single(node, at)
                if element.types[0].code == "boolean":
                    return f"({owner}.get({element.name!r}) is {wanted})"
        raise _Beyond

    def join(self, word: str, node: ast.Operator, at: _Place, left: bool, right: bool) -> str:
        first = self.true(node.left, at) if left else self.false(node.left, at)
        second = self.true(node.right, at) if right else self.false(node.right, at)
        return f"({first} {word} {second})"

    def definite(self, node: ast.Node, at: _Place) -> str:
        """Source of a boolean, for an expression that is never empty."""
        match node:
            case ast.Function(name="exists", source=ast.Node() as source, arguments=()):
                return self.exists(source, at)
            case ast.Function(name="empty", source=ast.Node() as source):
                return f"(not {self.exists(source, at)})"
            case ast.Function(name="exists" | "all", source=ast.Node() as source, arguments=(criterion,)):
                clauses, place = self.loop(source, at)
                word = "any" if node.name == "exists" else "all"
                return f"{word}({self.true(criterion, place)}{clauses})" if clauses else _beyond()
            case ast.Function(name="not", source=ast.Node() as source):
                return f"(not {self.definite(source, at)})"
            case ast.Function(name="trace", source=ast.Node() as source):
                return self.definite(source, at)
            case ast.Function(name="hasValue", source=ast.Member() as source):
                owner, element = self.single(source, at)
                return f"({element.name!r} in {owner})" if _primitive(element) else _beyond()
            case ast.Function(source=ast.Member() as source, arguments=(ast.Literal(value=str() as text),)):
                return self.text_test(node.name, source, text, at)
            case ast.Operator() if node.operator in _DEFINITE_OPERATORS:
                left, right = self.definite(node.left, at), self.definite(node.right, at)
                return "(" + _DEFINITE_OPERATORS[node.operator].format(left, right) + ")"
            case ast.Operator(operator="=" | "!=" | "<" | "<=" | ">" | ">="):
                sign = "==" if node.operator == "=" else node.operator
                try:
                    return f"({self.number(node.left, at)} {sign} {self.number(node.right, at)})"
                except _Beyond:
                    if sign not in ("==", "!="):
                        raise
                return f"({self.definite(node.left, at)} {sign} {self.definite(node.right, at)})"
        raise _Beyond

    def text_test(self, name: str, source: ast.Member, text: str, at: _Place) -> str:
        owner, element = self.single(source, at)
        if SYSTEM_OF.get(_primitive(element)) != "String" or not text:
            raise _Beyond
        prop = element.name
        if name in _TESTS:
            return f"{owner}.get({prop!r}, '').{_TESTS[name]}({text!r})"
        if name == "contains":
            return f"({text!r} in {owner}.get({prop!r}, ''))"
        if name == "matches":
            whole = self.constant(regular_expression(text).fullmatch)
            return f"({prop!r} not in {owner} or {whole}({owner}[{prop!r}]) is not None)"
        raise _Beyond

    def number(self, node: ast.Node, at: _Place) -> str:
        match node:
            case ast.Literal(value=bool()):
                raise _Beyond
            case ast.Literal(value=int() as value):
                return str(value)
            case ast.Operator(operator="+"):
                return f"({self.number(node.left, at)} + {self.number(node.right, at)})"
            case ast.Function(name="count", source=ast.Member() as source):
                owner, element = self.last(source, at)
                if element.choice or (element.max != 1 and _primitive(element)):
                    raise _Beyond
                present = f"({element.name!r} in {owner})"
                if _primitive(element):
                    present = f"({element.name!r} in {owner} or {'_' + element.name!r} in {owner})"
                return present if element.max == 1 else f"len({owner}.get({element.name!r}, ()))"
        raise _Beyond

    # Comparison of one primitive with literals, or with another.

    def equality(self, node: ast.Operator, at: _Place, equal: bool) -> str:
        source, literal = node.left, node.right
        if isinstance(source, ast.Literal):
            source, literal = literal, source
        if isinstance(literal, ast.Variable) and literal.name == "ucum":
            literal = ast.Literal("http://unitsofmeasure.org")
        if isinstance(literal, ast.Operator):
            return self.agreement(source, literal, at, equal)
        if not isinstance(literal, ast.Literal) or not isinstance(source, ast.Member):
            raise _Beyond
        owner, element = self.single(source, at)
        kind = SYSTEM_OF.get(_primitive(element))
        wanted = {"String": str, "Boolean": bool, "Integer": int}.get(kind or "")
        if type(literal.value) is not wanted:
            raise _Beyond
        value, name = repr(literal.value), repr(element.name)
        return f"({owner}.get({name}) == {value})" if equal else f"({owner}.get({name}, {value}) != {value})"

    def agreement(self, left: ast.Node, right: ast.Operator, at: _Place, equal: bool) -> str:
        if right.operator not in ("and", "or", "implies", "xor"):
            raise _Beyond
        yes, no = self.true(right, at), self.false(right, at)
        return f"({yes if equal else no} if {self.definite(left, at)} else {no if equal else yes})"

    def membership(self, node: ast.Operator, at: _Place, wanted: bool) -> str:
        values: list[str] = []
        pending = [node.right]
        while pending:
            one = pending.pop()
            if isinstance(one, ast.Operator) and one.operator == "|":
                pending += [one.left, one.right]
            elif isinstance(one, ast.Literal) and isinstance(one.value, str):
                values.append(one.value)
            else:
                raise _Beyond
        if not isinstance(node.left, ast.Member):
            raise _Beyond
        owner, element = self.single(node.left, at)
        if SYSTEM_OF.get(_primitive(element)) != "String":
            raise _Beyond
        name, codes = repr(element.name), self.constant(frozenset(values))
        if wanted:
            return f"({owner}.get({name}) in {codes})"
        return f"({name} in {owner} and {owner}[{name}] not in {codes})"

    def order(self, node: ast.Operator, at: _Place, wanted: bool) -> str:
        if not isinstance(node.left, ast.Member):
            raise _Beyond
        owner, element = self.single(node.left, at)
        value, kind = f"{owner}[{element.name!r}]", _primitive(element)
        there, denied = f"{element.name!r} in {owner}", "" if wanted else "not "
        if isinstance(node.right, ast.Literal) and type(node.right.value) is int and _is_number(kind):
            return f"({there} and {denied}{value} {node.operator} {node.right.value})"
        if isinstance(node.right, ast.Member) and kind in TEMPORAL_TYPES:
            other, second = self.single(node.right, at)
            if _primitive(second) == kind:
                both = f"{there} and {second.name!r} in {other}"
                call = f"order({value}, {other}[{second.name!r}], {node.operator!r}, {TEMPORAL_TYPES[kind]!r})"
                return f"({both} and {denied}{call})"
        raise _Beyond

    # Paths.

    def exists(self, node: ast.Node, at: _Place) -> str:
        """Source of a boolean: whether the collection has an item."""
        try:
            return self.exists_statically(node, at)
        except _Beyond:
            call = f"{self.closure(ast.Function(node, 'exists'), at)}"
            guard = self.first_step(node, at)
            return f"({guard} and {call} is True)" if guard else f"({call} is True)"

    def exists_statically(self, node: ast.Node, at: _Place) -> str:
        match node:
            case ast.Member():
                try:
                    owner, element = self.last(node, at)
                except _Beyond:
                    clauses, place = self.loop(node.source, at)
                    return f"any({_present(self, place.code, place.element(node.name))}{clauses})"
                return _present(self, owner, element)
            case ast.Function(name="where", source=ast.Node() as source, arguments=(criterion,)):
                clauses, place = self.loop(source, at)
                return f"any({self.true(criterion, place)}{clauses})" if clauses else _beyond()
            case ast.Function(name="trace", source=ast.Node() as source):
                return self.exists(source, at)
            case ast.Operator(operator="|"):
                return f"({self.exists(node.left, at)} or {self.exists(node.right, at)})"
        raise _Beyond

    def first_step(self, node: ast.Node, at: _Place) -> str:
        """Source that is false where the element is missing from which the path starts; "" if that is not known."""
        while isinstance(node, ast.Member | ast.Function) and node.source is not None:
            if isinstance(node, ast.Function) and node.name not in _KEEPS_EMPTY:
                return ""
            node = node.source
        try:
            return _present(self, at.code, at.element(node.name)) if isinstance(node, ast.Member) else ""
        except _Beyond:
            return ""

    def base(self, node: ast.Node | None, at: _Place) -> _Place:
        match node:
            case None | ast.Special(name="this"):
                return at
            case ast.Variable(name="resource") if at.resource:
                return _Place("r", at.resource, at.resource)
            case ast.Member(source=None, name=name) if name[:1].isupper() and name in table(at.type).supertypes:
                return at
        raise _Beyond

    def last(self, node: ast.Member, at: _Place) -> tuple[str, Element]:
        """Source of the object that holds the last element of a path, all before it being single; and that element."""
        try:
            place = self.base(node.source, at)
        except _Beyond:
            if not isinstance(node.source, ast.Member):
                raise
            owner, element = self.last(node.source, at)
            if element.max != 1 or element.choice or _primitive(element):
                raise
            place = _Place(f"{owner}.get({element.name!r}, E)", element.types[0].code, at.resource)
        return place.code, place.element(node.name)

    def single(self, node: ast.Member, at: _Place) -> tuple[str, Element]:
        """As ``last``, for a path to one primitive at most."""
        owner, element = self.last(node, at)
        if element.max != 1 or element.choice or not _primitive(element):
            raise _Beyond
        return owner, element

    def loop(self, node: ast.Node | None, at: _Place) -> tuple[str, _Place]:
        """The for clauses of a comprehension over the objects that a path leads to, and the place of each."""
        try:
            return "", self.base(node, at)
        except _Beyond:
            if not isinstance(node, ast.Member):
                raise
        clauses, place = self.loop(node.source, at)
        element = place.element(node.name)
        if element.choice or _primitive(element):
            raise _Beyond
        name, variable, owner = repr(element.name), self.variable(), place.code
        many = f"{owner}.get({name}, ())" if element.max != 1 else f"(({owner}[{name}],) if {name} in {owner} else ())"
        kind = element.types[0].code
        abstract = definitions.load().types[kind].kind == "resource"
        return f"{clauses} for {variable} in {many}", _Place(variable, kind, "" if abstract else at.resource)

    def closure(self, node: ast.Node, at: _Place) -> str:
        """Source of a call that evaluates the closure of a part, giving True, False or None."""
        step, type_name = compile_tree(node, invariant=True), at.type

        def evaluate(value: Any, resource: Any, container: Any, memo: dict[Any, Any]) -> bool | None:
            focus = root(value, type_name)
            return boolean(run(step, focus, resource, container, memo=memo, budget=TRUSTED_BUDGET))

        return f"{self.constant(evaluate)}({at.code}, r, root, memo)"


def _beyond() -> str:
    raise _Beyond


def _primitive(element: Element) -> str:
    """The element's type if it is a primitive, else ""."""
    code = element.types[0].code
    while code and definitions.load().types[code].kind == "primitive":
        base = definitions.load().types[code].base
        if code in SYSTEM_OF:
            return code
        code = base
    return ""


def _is_number(kind: str) -> bool:
    return SYSTEM_OF.get(kind) in ("Integer", "Decimal")


def _present(generator: _Generator, owner: str, element: Element) -> str:
    names: list[str] = []
    for prop, ref in element.json_names().items():
        names.append(prop)
        if definitions.load().types[ref.code].kind == "primitive":
            names.append("_" + prop)
    if len(names) <= 3:
        return "(" + " or ".join(f"{name!r} in {owner}" for name in names) + ")"
    return f"(not {generator.constant(frozenset(names))}.isdisjoint({owner}))"


def _temporal_order(left: str, right: str, operator: str, kind: str) -> bool:
    """Order of two dates or times as text; true where it is not known, as ``invariants`` says."""
    if len(left) == len(right) and (len(left) == 10 or left[-1:] == right[-1:] == "Z" or left[19:] == right[19:] != ""):
        order = -1 if left < right else 1 if left > right else 0
    else:
        first, second = parse_temporal(left, kind), parse_temporal(right, kind)
        if first is None or second is None:
            return True
        compared = compare_temporals(first, second)
        if compared is None:
            return True
        order = compared
    return order in {"<": (-1,), "<=": (-1, 0), ">": (1,), ">=": (1, 0)}[operator]
