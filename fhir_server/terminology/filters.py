"""The filters of a ValueSet over the concepts of a CodeSystem. https://hl7.org/fhir/R4/valueset-filter-operator.html"""

from __future__ import annotations

from collections.abc import Callable

import re2  # type: ignore[import-untyped]

from fhir_server.errors import BadRequest
from fhir_server.terminology.budget import Budget
from fhir_server.terminology.code_system import Concept, Hierarchy
from fhir_server.terminology.value_set import Filter

_THE_CONCEPT = frozenset({"concept", "code"})
_RELATIONS = frozenset({"parent", "child"})
# Properties that are false where a concept does not have them.
# https://hl7.org/fhir/R4/codesystem-concept-properties.html
_FALSE_IF_MISSING = frozenset({"inactive", "notSelectable"})

_REGEX_MEMORY = 1 << 20
_REGEX_STEPS = 3


def selected(wanted: Filter, hierarchy: Hierarchy, budget: Budget, name: str) -> set[str]:
    """The codes of the concepts that meet a filter. ``name`` is the ValueSet's, for messages.

    ``is-a``, ``descendent-of``, ``is-not-a`` and ``generalizes`` compare the concept itself. A ``regex`` is to match
    the whole value. Raises BadRequest for what cannot be evaluated, budget's too-costly included.
    """
    if wanted.op in _HIERARCHICAL:
        if wanted.property not in _THE_CONCEPT:
            raise _refused(wanted, name, "compares the property 'concept' only")
        return _HIERARCHICAL[wanted.op](wanted.value, hierarchy, budget)
    _check_property(wanted, hierarchy, name)
    test = _test(wanted, name)
    steps = _REGEX_STEPS if wanted.op == "regex" else 1
    found = set()
    for concept in hierarchy:
        values = _values(wanted, concept, hierarchy)
        budget.spend(1 + steps * len(values) + sum(map(len, values)) // 16)
        if test(values):
            found.add(concept.code)
    return found


def is_inactive(concept: Concept) -> bool:
    """Whether a concept is no longer to be used. https://hl7.org/fhir/R4/codesystem-concept-properties.html"""
    return "true" in concept.values("inactive") or bool({"retired", "inactive"} & set(concept.values("status")))


def _is_a(code: str, hierarchy: Hierarchy, budget: Budget) -> set[str]:
    return hierarchy.below(code, budget)


def _descendent_of(code: str, hierarchy: Hierarchy, budget: Budget) -> set[str]:
    return hierarchy.below(code, budget) - {code}


def _is_not_a(code: str, hierarchy: Hierarchy, budget: Budget) -> set[str]:
    budget.spend(len(hierarchy.concepts))
    return hierarchy.concepts.keys() - hierarchy.below(code, budget)


def _generalizes(code: str, hierarchy: Hierarchy, budget: Budget) -> set[str]:
    return hierarchy.above(code, budget)


_HIERARCHICAL: dict[str, Callable[[str, Hierarchy, Budget], set[str]]] = {
    "is-a": _is_a,
    "descendent-of": _descendent_of,
    "is-not-a": _is_not_a,
    "generalizes": _generalizes,
}


def _test(wanted: Filter, name: str) -> Callable[[list[str]], bool]:
    """The condition on the values of the property."""
    match wanted.op:
        case "=":
            return lambda values: wanted.value in values
        case "in":
            listed = _listed(wanted.value)
            return lambda values: not listed.isdisjoint(values)
        case "not-in":
            listed = _listed(wanted.value)
            return lambda values: listed.isdisjoint(values)
        case "exists" if wanted.value in ("true", "false"):
            exists = wanted.value == "true"
            return lambda values: bool(values) is exists
        case "exists":
            raise _refused(wanted, name, "takes true or false")
        case "regex":
            pattern = _compiled(wanted, name)
            return lambda values: any(pattern.fullmatch(value) is not None for value in values)
    raise _refused(wanted, name, "is not known")


def _listed(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(","))


def _compiled(wanted: Filter, name: str) -> re2._Regexp:
    """A pattern of RE2, which takes time in proportion to the text. https://github.com/google/re2/wiki/Syntax"""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _REGEX_MEMORY
    try:
        return re2.compile(wanted.value, options)
    except re2.error:
        raise _refused(wanted, name, "has a regular expression that cannot be read (RE2 syntax)") from None


def _values(wanted: Filter, concept: Concept, hierarchy: Hierarchy) -> list[str]:
    name = wanted.property
    if name in _THE_CONCEPT:
        return [concept.code]
    if name == "display":
        return [concept.display] if concept.display else []
    if name in _RELATIONS:
        return list(hierarchy.parents(concept.code) if name == "parent" else hierarchy.children(concept.code))
    found = concept.values(name)
    return ["false"] if not found and name in _FALSE_IF_MISSING and wanted.op != "exists" else found


def _check_property(wanted: Filter, hierarchy: Hierarchy, name: str) -> None:
    """A property that no concept can have would select nothing, or everything, without a word."""
    builtin = _THE_CONCEPT | _RELATIONS | _FALSE_IF_MISSING | {"display"}
    if wanted.property in builtin or wanted.property in hierarchy.properties:
        return
    known = ", ".join(sorted({*builtin, *hierarchy.properties})[:40])
    raise _refused(
        wanted, name, f"names a property that the CodeSystem {hierarchy.system.url} does not define. Known: {known}"
    )


def _refused(wanted: Filter, name: str, problem: str) -> BadRequest:
    return BadRequest(
        f"The ValueSet {name} cannot be evaluated: its filter {wanted.property!r} {wanted.op!r} {problem}.",
        code="not-supported",
    )
