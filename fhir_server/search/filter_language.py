"""A _filter as the filters of a search: each test becomes a clause. https://hl7.org/fhir/R4/search_filter.html

A test is written as a search would write it, ``birthdate ge 2014`` as ``birthdate=ge2014``, and parsed by the same
code. Strings have operators that no search has (``eq`` compares the whole text): they are clauses whose modifier is the
operator, which no query string can name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import replace

from fhir_server.errors import BadRequest
from fhir_server.r4 import definitions
from fhir_server.search import filter_grammar
from fhir_server.search.filter_grammar import Comparison, Expression, Logical, Not, Step, problem
from fhir_server.search.query import Chain, Combination, Filter, Negation, clauses, mapped
from fhir_server.search.registry import Registry
from fhir_server.search.result_parameters import Ignorable
from fhir_server.search.suggest import refusal, shown

ClauseOf = Callable[[str, str, str, Registry], Filter]
"""(resource type, ``name:modifier``, value with its escapes, registry) -> the filter that this parameter stands for"""

_NUMERIC = ("eq", "ne", "gt", "lt", "ge", "le", "ap", "sa", "eb", "pr")

OPERATORS: dict[str, tuple[str, ...]] = {
    "string": ("eq", "ne", "co", "sw", "ew", "gt", "lt", "ge", "le", "pr"),
    "number": _NUMERIC,
    "date": (*_NUMERIC, "po"),
    "quantity": _NUMERIC,
    "token": ("eq", "ne", "in", "ni", "ss", "sb", "pr"),
    "reference": ("re", "eq", "ne", "pr"),
    "uri": ("eq", "ne", "pr"),
    "composite": ("eq", "ne", "pr"),
    "special": ("eq", "ne", "pr"),
}
"""The operators of each type of search parameter. https://hl7.org/fhir/R4/search_filter.html#ops"""

_UNKNOWN = ("eq", "ne", "pr")

_MODIFIERS = {"co": "contains", "in": "in", "ni": "not-in", "ss": "below", "sb": "above"}

_NAMESPACES = {
    "loinc": "http://loinc.org",
    "snomed": "http://snomed.info/sct",
    "rxnorm": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "ucum": "http://unitsofmeasure.org",
}
"""Names that stand for a code system. https://hl7.org/fhir/R4/search_filter.html#ops"""

MAX_TRIED = 500
"""How many tests may be tried on resource types: a bracket applies to each type that a reference may lead to."""

_KINDS = {"_id": "token", "_lastUpdated": "date", "_text": "", "_content": ""}
"""Parameters without :missing, by which the type of others is found out."""


def parse_filter(resource_type: str, text: str, registry: Registry, clause_of: ClauseOf) -> Filter:
    """The filter that ``text`` means for a resource type; its own text is ``_filter=...``.

    ``clause_of`` parses one parameter as a query string would have it. Raises BadRequest with the position of what is
    wrong, or the Ignorable of ``clause_of`` with the position before it.
    """
    found = _Resolver(registry, clause_of).filter(resource_type, filter_grammar.parse(text))
    return replace(found, text=f"_filter={text}")


class _Resolver:
    def __init__(self, registry: Registry, clause_of: ClauseOf) -> None:
        self._registry = registry
        self._clause_of = clause_of
        self._count = 0

    def filter(self, resource_type: str, expression: Expression) -> Filter:
        match expression:
            case Logical(operator=operator, parts=parts):
                found = tuple(self.filter(resource_type, part) for part in parts)
                return Combination(operator, found, f" {operator} ".join(part.text for part in found))
            case Not(part=part):
                inner = self.filter(resource_type, part)
                return Negation(inner, f"not ({inner.text})")
            case Comparison():
                return self.test(resource_type, expression, expression.path)
        raise AssertionError(expression)

    def test(self, resource_type: str, test: Comparison, path: tuple[Step, ...]) -> Filter:
        """A test at the end of a path; where the path has conditions in brackets, step by step."""
        self._count += 1
        if self._count > MAX_TRIED:
            raise _too_many_types(test)
        if not any(step.condition for step in path):
            return self.plain(resource_type, test, ".".join(step.name for step in path))
        step, rest = path[0], path[1:]
        code, _, named = step.name.partition(":")
        parameter = self._registry.parameters(resource_type).get(code)
        references = {c: p for c, p in self._registry.parameters(resource_type).items() if p.type == "reference"}
        if parameter is None or parameter.code not in references:
            raise problem(
                test.position,
                f"{shown(step.name)} is no reference of {resource_type}, so nothing stands behind it."
                f"{refusal(f'references of {resource_type}', code, references)}",
            )
        types = [name for name in parameter.targets or definitions.load().resource_types if not named or name == named]
        if not types:
            raise problem(test.position, f"{code} does not refer to {shown(named)}.")
        targets = tuple((name, part) for name in types if (part := self.target(name, step, test, rest, len(types) > 1)))
        if not targets:
            # No type has the parameters behind the step: the refusal of the first one says which are missing.
            self.behind(types[0], step, test, rest)
        return Chain(parameter, targets, test.text)

    def target(
        self, name: str, step: Step, test: Comparison, rest: tuple[Step, ...], among_others: bool
    ) -> Filter | None:
        """What is to hold in one of the types that a step leads to; None where one of several has no such parameter."""
        try:
            return self.behind(name, step, test, rest)
        except (BadRequest, Ignorable) as refused:
            if not among_others or _is_too_costly(refused):
                raise
            return None

    def behind(self, name: str, step: Step, test: Comparison, rest: tuple[Step, ...]) -> Filter:
        found = self.test(name, test, rest)
        if step.condition is None:
            return found
        return Combination("and", (self.filter(name, step.condition), found), test.text)

    def plain(self, resource_type: str, test: Comparison, name: str) -> Filter:
        """A test whose path a query string could name."""
        head, _, last = name.rpartition(".")
        if last == "id":
            # https://hl7.org/fhir/R4/search_filter.html writes subject.id in the place of subject._id.
            name = f"{head}._id" if head else "_id"
        kind = self.kind(resource_type, name, test)
        operators = OPERATORS.get(kind, _UNKNOWN)
        if test.operator not in operators:
            what = f"{name} ({kind})" if kind else name
            raise problem(
                test.position,
                f"the operator {test.operator} means nothing for {what}; these do: {' '.join(operators)}.",
                "not-supported",
            )
        found = self.operated(resource_type, test, name, kind)
        return _with_text(found, test.text)

    def operated(self, resource_type: str, test: Comparison, name: str, kind: str) -> Filter:
        def clause(name: str, value: str) -> Filter:
            return self.clause(resource_type, test, name, value)

        operator, value = test.operator, _escaped(test.value, kind)
        if operator == "pr":
            if test.value not in ("true", "false"):
                raise problem(test.position, "the value of pr is true, for what has a value, or false.")
            if test.value == "false" and not _is_joined(name):
                return clause(f"{name}:missing", "true")
            present = clause(f"{name}:missing", "false")
            return present if test.value == "true" else Negation(present, test.text)
        if kind in ("number", "date", "quantity"):
            if operator != "po":
                return clause(name, operator + value)
            if name.endswith("_lastUpdated"):
                # A moment overlaps a period when it lies within.
                return clause(name, "eq" + value)
            return _with_modifier(clause(name, value), "po")
        if operator == "ne":
            return Negation(self.operated(resource_type, replace(test, operator="eq"), name, kind), test.text)
        if operator in _MODIFIERS:
            return clause(f"{name}:{_MODIFIERS[operator]}", value)
        if kind == "string" and operator != "sw":
            return _with_modifier(clause(f"{name}:exact", value), operator)
        return clause(name, value)

    def clause(self, resource_type: str, test: Comparison, name: str, value: str) -> Filter:
        try:
            return self._clause_of(resource_type, name, value, self._registry)
        except BadRequest as refused:
            raise problem(test.position, str(refused), refused.issues[0].code) from None
        except Ignorable as refused:
            raise Ignorable(f"_filter, character {test.position}: {refused}", refused.issue_type) from None

    def kind(self, resource_type: str, name: str, test: Comparison) -> str:
        """The type of the parameter at the end of a path; "" for what has none, or a modifier of its own."""
        last = re.split("[.:]", name)[-1]
        if last in _KINDS:
            return _KINDS[last]
        try:
            probe = self.clause(resource_type, test, f"{name}:missing", "false")
        except (BadRequest, Ignorable) as refused:
            if _is_too_costly(refused):
                raise _too_many_types(test) from None
            return ""
        kinds: Collection[str] = {clause.parameter.type for clause in clauses(probe)}
        if len(kinds) != 1:
            raise problem(
                test.position,
                f"{name} leads to parameters of the types {' and '.join(sorted(kinds))}; name the resource type, "
                "as in subject:Patient.name.",
            )
        return next(iter(kinds))


def _too_many_types(test: Comparison) -> BadRequest:
    message = "the paths may lead to too many types; name them, as in subject:Patient.name or subject:Patient[...]."
    return problem(test.position, message, "too-costly")


def _is_too_costly(refused: BadRequest | Ignorable) -> bool:
    return isinstance(refused, BadRequest) and refused.issues[0].code == "too-costly"


def _is_joined(name: str) -> bool:
    """Whether a path leads over other resources, so that having no value there is not the parameter's :missing."""
    return "." in name or name.startswith("_has:")


_PLAIN = re.compile(r"[\\,|$]")
_COMMA = re.compile(r"\\.|\\|,", re.DOTALL)


def _escaped(value: str, kind: str) -> str:
    """A value as a query string has it. Texts are taken as they stand; others keep their ``|``, ``$`` and escapes."""
    if kind in ("string", "date", "number"):
        return _PLAIN.sub(r"\\\g<0>", value)
    kept = _COMMA.sub(lambda found: found[0] if len(found[0]) > 1 else "\\" + found[0], value)
    return "$".join(_with_namespace(part) for part in kept.split("$")) if kind in _CODED else kept


_CODED = ("token", "quantity", "composite")


def _with_namespace(part: str) -> str:
    """``loinc|1234-5`` and ``5|ucum|mg`` with the code system written out."""
    segments = part.split("|")
    place = {2: 0, 3: 1}.get(len(segments))
    if place is not None:
        segments[place] = _NAMESPACES.get(segments[place], segments[place])
    return "|".join(segments)


def _with_modifier(found: Filter, modifier: str) -> Filter:
    return mapped(found, lambda clause: replace(clause, modifier=modifier))


def _with_text(found: Filter, text: str) -> Filter:
    return replace(mapped(found, lambda clause: replace(clause, text=text)), text=text)
