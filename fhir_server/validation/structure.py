"""The fast pass: whether a resource is valid, by functions generated per type on first use. https://hl7.org/fhir/R4/validation.html

For each type a function is written as Python source, compiled once, and fed by three tables that say how to check each
property: ``leaf`` (primitives, mostly calls straight into C), ``node`` (objects) and ``choice`` (``value[x]``). The
functions do not look at JSON types where the operation itself would fail on a wrong one: TypeError and AttributeError
mean "invalid", and ``issues.py`` then says why.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from fhir_server.r4 import definitions
from fhir_server.validation import bindings, conditions, contained, invariants, narrative, references, rules, siblings
from fhir_server.validation.primitives import ID, MAX_STRING, TEXT, UUID, Predicate
from fhir_server.validation.rules import MAX_DEPTH, Property, TypeRules

Check = Callable[[Any, int], bool]

_building = threading.RLock()
_resources: dict[str, Check] = {}
_functions: dict[str, Check] = {}


def is_valid(resource: Any) -> bool:
    """Whether a resource, as ``r4.json.parse`` returns it, breaks no rule of FHIR. https://hl7.org/fhir/R4/validation.html

    Its own ``resourceType`` says what to check. Warnings do not count. ``issues.issues`` says what is wrong.
    """
    try:
        return any_resource(resource, 1)
    except (TypeError, AttributeError):
        return False


def prepare(types: Iterable[str] | None = None) -> None:
    """Build the functions of these resource types, or of all, ahead of the first request (0.3 s for all).

    Raises KeyError for a name that is no resource type of R4. https://hl7.org/fhir/R4/resourcelist.html
    """
    for name in definitions.load().resource_types if types is None else types:
        if _build(name) is None:
            raise KeyError(name)


def any_resource(o: Any, d: int) -> bool:
    """Check an object by its resourceType, at a depth of ``d`` objects."""
    check = _resources.get(o.get("resourceType"))
    if check is None:
        check = _build(o.get("resourceType"))
        if check is None:
            return False
    if "contained" in o:
        return contained.check(o, d, check, any_resource)
    return check(o, d)


def _build(name: Any) -> Check | None:
    if name not in references.resource_types():
        return None
    with _building:
        if name not in _resources:
            check = _function(name)
            # Published only now: every table that the function reads is complete.
            _resources[name] = check
        return _resources[name]


def _function(type_name: str) -> Check:
    """The function of a type; those of the types it is made of are built with it, itself first because types recur."""
    if type_name in _functions:
        return _functions[type_name]
    type_rules = rules.of(type_name)
    leaf: dict[str, Predicate] = {}
    node: dict[str, Check] = {}
    choice: dict[str, tuple[int, Any, bool]] = {}
    namespace = {
        "leaf": leaf.get,
        "text": TEXT,
        "node": node.get,
        "choice": choice.get,
        "conditions": conditions,
        "compiled": invariants.compiled,
        "siblings": siblings.Checker(type_rules, _extensions),
    }
    code = compile(_source(type_rules), f"<validation of {type_name}>", "exec")
    exec(code, namespace)  # noqa: S102 - source written below, from our own tables
    function: Check = namespace["check"]  # type: ignore[assignment]
    _functions[type_name] = function
    if type_rules.is_resource:
        leaf["resourceType"] = frozenset({type_name}).__contains__
    for prop in type_rules.properties.values():
        if prop.element.choice:
            bit = 1 << type_rules.choices.index(prop.element)
            choice[prop.name] = (bit, _leaf(prop) or _node(prop), _leaf(prop) is not None)
        elif (predicate := _leaf(prop)) is not None:
            leaf[prop.name] = predicate
        else:
            node[prop.name] = _node(prop)
    return function


def _extensions(value: Any, d: int) -> bool:
    return _many(_function("Extension"))(value, d)


def _source(type_rules: TypeRules) -> str:
    """The source of a type's function. ``o`` is the object, ``d`` its depth, ``seen`` the choices met, as bits."""
    bits = {element.name: 1 << number for number, element in enumerate(type_rules.choices)}

    def exists(name: str) -> str:
        return f"(seen & {bits[name]} != 0)" if name in bits else f"({name!r} in o)"

    lines = ["def check(o, d):", f"    if d > {MAX_DEPTH}: return False"]
    if not type_rules.is_resource:
        # ele-1: an element has a value or children, and an id is not enough.
        lines.append("    if len(o) < 2 and (not o or 'id' in o): return False")
    lines += ["    rare = False", "    below = d + 1"]
    if bits:
        lines.append("    seen = 0")
    lines += [
        "    for k, v in o.items():",
        "        f = leaf(k)",
        "        if f is not None:",
        f"            if f is text and 0 < len(v) <= {MAX_STRING} and v.isprintable(): continue",
        "            if not f(v):",
        "                if type(v) is not list or '_' + k not in o: return False",
        "                rare = True",
        "            continue",
        "        f = node(k)",
        "        if f is not None:",
        "            if not f(v, below): return False",
        "            continue",
    ]
    if bits:
        lines += [
            "        f = choice(k)",
            "        if f is not None:",
            "            if seen & f[0]: return False",
            "            seen |= f[0]",
            "            if not (f[1](v) if f[2] else f[1](v, below)): return False",
            "            continue",
        ]
    lines += [
        "        if k[:1] != '_': return False",
        "        rare = True",
        # With primitive extensions about, the slower and complete rules decide what exists.
        "    if rare: return siblings.check(o, below)",
    ]
    for element in type_rules.required:
        lines.append(f"    if not {exists(element.name)}: return False")
    if type_rules.name == "Extension":
        lines.append("    if ('extension' in o) == (seen != 0): return False")
    for key in type_rules.invariants:
        lines.append(f"    if not ({invariants.source(key, type_rules, exists)}): return False")
    lines.append("    return True")
    return "\n".join(lines)


def _leaf(prop: Property) -> Predicate | None:
    """The check of a primitive property, or None for others."""
    if prop.code == "xhtml":
        return narrative.is_acceptable
    if prop.predicate is None:
        return None
    predicate = _with_invariants(prop.predicate, prop) if prop.invariants else prop.predicate
    return _many_primitives(predicate) if prop.repeats else predicate


def _node(prop: Property) -> Check:
    """The check of a property that holds objects."""
    if prop.name == "contained":
        return contained.list_check(any_resource)
    check = any_resource if prop.is_resource else _function(prop.code)
    if prop.code == "Reference":
        check = _reference(check, frozenset(prop.ref.targets) or references.resource_types())
    elif prop.bound:
        check = _bound(check, prop.bound)
    if prop.invariants:
        check = _with_invariants(check, prop)
    return _many(check) if prop.repeats else check


def _many_primitives(predicate: Predicate) -> Predicate:
    def check(value: Any) -> bool:
        if type(value) is not list or not value:
            return False
        for item in value:  # noqa: SIM110 - a loop is faster than a generator
            if item is None or not predicate(item):
                return False
        return True

    return check


def _many(check: Check) -> Check:
    def check_list(value: Any, d: int) -> bool:
        if type(value) is not list or not value:
            return False
        for item in value:  # noqa: SIM110
            if not check(item, d):
                return False
        return True

    return check_list


def _reference(check: Check, targets: frozenset[str]) -> Check:
    """Add what a Reference may point at; most hold ``Type/id`` and perhaps a display, and are decided here."""
    matches_id, matches_uuid = ID.fullmatch, UUID.fullmatch
    container = references.container

    def check_reference(o: Any, d: int) -> bool:
        literal = o.get("reference")
        if literal is not None and d <= MAX_DEPTH:
            size = len(o)
            if size == 1 or (size == 2 and "display" in o and TEXT(o["display"])):
                named, _, rest = literal.partition("/")
                if (named in targets and matches_id(rest)) or matches_uuid(literal):
                    return True
        return check(o, d) and references.problem(o, targets, container.contained) is None

    return check_reference


def _bound(check: Check, value_set: str) -> Check:
    def check_concept(o: Any, d: int) -> bool:
        return check(o, d) and bindings.concept_fits(o, value_set)

    return check_concept


def _with_invariants(check: Callable[..., object], prop: Property) -> Callable[..., bool]:
    """Add the invariants that hold of this property's values beyond those of their type."""
    holds = [invariants.predicate(key, prop.code) for key in prop.invariants]

    def check_value(value: Any, *depth: int) -> bool:
        return bool(check(value, *depth)) and all(hold(value) for hold in holds)

    return check_value
