"""The complete pass: every issue of a resource, with its place and what would be right. https://hl7.org/fhir/R4/validation.html

It reads the same rules as ``structure.py`` but interprets them; a property test keeps the two passes of one mind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fhir_server.errors import Issue
from fhir_server.r4.definitions import Element
from fhir_server.validation import bindings, invariants, narrative, references, rules, words
from fhir_server.validation.primitives import JSON_KIND, accepts
from fhir_server.validation.rules import MAX_DEPTH, Property, TypeRules

Json = Any
Object = dict[str, Any]

MAX_ISSUES = 200
"""Issues listed for one resource; a note says that there are more."""


class _EnoughFound(Exception):
    """The list of issues is full."""


def issues(resource: Json, resource_type: str | None = None, *, warnings: bool = True) -> list[Issue]:
    """Every issue of a resource, errors first found first. https://hl7.org/fhir/R4/validation.html

    ``resource`` is what ``r4.json.parse`` returns, ``resource_type`` the type that it must be (from the URL). Without
    ``warnings`` only errors are listed. At most MAX_ISSUES, then a note.
    """
    walk = _Walk(warnings)
    try:
        walk.root(resource, resource_type)
    except _EnoughFound:
        note = f"more than {MAX_ISSUES} issues; the others are not listed"
        walk.found.append(Issue("information", "informational", note))
    return walk.found


class _Walk:
    """One walk over one resource; ``found`` are its issues, ``contained`` the contained resources within reach."""

    def __init__(self, warnings: bool) -> None:
        self.found: list[Issue] = []
        self.errors = 0
        self.warnings = warnings
        self.contained: Mapping[str, str] | None = None

    def error(self, code: str, diagnostics: str, path: str) -> None:
        self.errors += 1
        self.add(Issue("error", code, diagnostics, path))

    def add(self, issue: Issue) -> None:
        if len(self.found) >= MAX_ISSUES:
            raise _EnoughFound
        self.found.append(issue)

    def root(self, resource: Json, resource_type: str | None) -> None:
        named = resource.get("resourceType") if isinstance(resource, dict) else None
        if resource_type and isinstance(named, str) and named != resource_type:
            self.error("invalid", f"the resource is a {words.shown(named)}, not a {resource_type}", named[:40])
        self.resource(resource, named[:40] if isinstance(named, str) else resource_type or "", 1)

    def resource(self, o: Json, path: str, depth: int, within: bool = False) -> None:
        """Check a resource by its own resourceType; ``within`` says that it is a contained one."""
        if not isinstance(o, dict):
            self.error("structure", f"a resource is a JSON object, not {words.json_type(o)}", path)
            return
        named = o.get("resourceType")
        if not isinstance(named, str) or named not in references.resource_types():
            self.error("structure", words.unknown_type(named), path)
            return
        outer = self.contained
        if "contained" in o:
            self.contained = references.contained_types(o)
        self.object(o, rules.of(named), path, depth, within)
        for position in references.unreferenced(o):
            place = f"{path}.contained[{position}]"
            self.error("invariant", "dom-3: nothing in this resource refers to the contained resource by '#id'", place)
        self.contained = outer

    def object(self, o: Object, type_rules: TypeRules, path: str, depth: int, within: bool = False) -> None:
        """Check an object's properties, then what they must be together."""
        if depth > MAX_DEPTH:
            self.error("too-long", f"objects are nested more than {MAX_DEPTH} deep", path)
            return
        if not type_rules.is_resource and not o:
            self.error("structure", "an object must not be empty; leave the property out", path)
            return
        before = self.errors
        if not type_rules.is_resource and o.keys() == {"id"}:
            self.error("invariant", "ele-1: an element must have a value or children, not only an id", path)
        for name, value in o.items():
            if not (name == "resourceType" and type_rules.is_resource):
                self.property(o, name, value, type_rules, path, depth)
        self.together(o, type_rules, path)
        self.judge(o, type_rules.invariants, type_rules.name, path, self.errors > before)
        if self.warnings and self.errors == before:
            for key in type_rules.warnings:
                if not (within and key == "dom-6") and not invariants.predicate(key, type_rules.name)(o):
                    self.add(Issue("warning", "invariant", words.invariant(key), path))

    def property(self, o: Object, name: str, value: Json, type_rules: TypeRules, path: str, depth: int) -> None:
        sibling = name[:1] == "_"
        prop = type_rules.properties.get(name[1:] if sibling else name)
        if prop is None or (sibling and (prop.plain or prop.predicate is None)):
            place = f"{path}.{name}" if name.isidentifier() and len(name) <= 64 else path
            self.error("structure", words.unknown_element(name, type_rules), place)
            return
        place = f"{path}.{prop.element.name}"
        if prop.predicate is not None:
            # A primitive and its sibling are checked together, once.
            if not (sibling and name[1:] in o):
                self.primitive(o, prop, type_rules, place, depth)
        elif prop.repeats:
            self.many(prop, value, place, depth)
        elif isinstance(value, list):
            self.error("structure", f"{name} is a single value, not an array", place)
        else:
            self.value(prop, value, place, depth)

    def many(self, prop: Property, values: Json, path: str, depth: int) -> None:
        if not isinstance(values, list):
            self.error("structure", f"{prop.name} repeats: write an array, also for one value", path)
            values = [values]
        elif not values:
            self.error("structure", "an array must not be empty; leave the property out", path)
        ids: set[str] = set()
        for position, value in enumerate(values):
            place = f"{path}[{position}]"
            if prop.name == "contained":
                self.contained_resource(value, place, ids)
            self.value(prop, value, place, depth)

    def contained_resource(self, o: Json, path: str, ids: set[str]) -> None:
        """What holds of contained resources beside their own rules. https://hl7.org/fhir/R4/references.html#contained"""
        if not isinstance(o, dict):
            return
        if "contained" in o:
            self.error("invariant", words.invariant("dom-2"), f"{path}.contained")
        if "id" not in o:
            self.error("required", "a contained resource must have an id, so that '#id' can refer to it", f"{path}.id")
        elif isinstance(o["id"], str):
            if o["id"] in ids:
                self.error("value", "another contained resource has this id already", f"{path}.id")
            ids.add(o["id"])
        meta = o.get("meta")
        if isinstance(meta, dict):
            for name in ("versionId", "lastUpdated"):
                if name in meta:
                    self.error("invariant", words.invariant("dom-4"), f"{path}.meta.{name}")
            if "security" in meta:
                self.error("invariant", words.invariant("dom-5"), f"{path}.meta.security")

    def value(self, prop: Property, value: Json, path: str, depth: int) -> None:
        """Check one value of a property that is no primitive with a predicate."""
        before = self.errors
        if prop.is_resource:
            self.resource(value, path, depth + 1, within=prop.name == "contained")
            return
        if prop.code == "xhtml":
            fault = narrative.fault(value)
            if fault:
                self.error("invariant" if fault.startswith("txt-") else "value", fault, path)
            return
        if not isinstance(value, dict):
            self.error("structure", f"{prop.name} is a JSON object ({prop.code}), not {words.json_type(value)}", path)
            return
        self.object(value, rules.of(prop.code), path, depth + 1)
        if prop.code == "Reference":
            targets = frozenset(prop.ref.targets) or references.resource_types()
            problem = references.problem(value, targets, self.contained)
            if problem:
                self.error(problem.code, problem.diagnostics, f"{path}.{problem.element}")
        # The codings of a broken concept cannot be read; what breaks it is listed already.
        elif prop.bound and self.errors == before and not bindings.concept_fits(value, prop.bound):
            self.error("code-invalid", words.bad_concept(value, prop.bound), path)
        self.judge(value, prop.invariants, prop.code, path, self.errors > before)

    def primitive(self, o: Object, prop: Property, type_rules: TypeRules, path: str, depth: int) -> None:
        """Check a primitive and its ``_name`` sibling. https://hl7.org/fhir/R4/json.html#primitive"""
        absent = object()
        value, sibling = o.get(prop.name, absent), o.get("_" + prop.name, absent)
        if not prop.repeats:
            if value is not absent:
                self.primitive_value(prop, value, type_rules, path)
            if sibling is not absent:
                self.sibling(prop, sibling, value is not absent, path, depth)
            return
        for name, array in ((prop.name, value), ("_" + prop.name, sibling)):
            if array is absent:
                continue
            if not isinstance(array, list):
                self.error("structure", f"{name} repeats: write an array, also for one value", path)
                return
            if not array:
                self.error("structure", "an array must not be empty; leave the property out", path)
        values = value if isinstance(value, list) else []
        siblings = sibling if isinstance(sibling, list) else []
        if values and siblings and len(values) != len(siblings):
            self.error("structure", f"{prop.name} and _{prop.name} must have the same length; fill with null", path)
        for position in range(max(len(values), len(siblings))):
            place = f"{path}[{position}]"
            item = values[position] if position < len(values) else None
            extra = siblings[position] if position < len(siblings) else None
            if item is None and extra is None:
                self.error("structure", f"null needs an extension at the same place of _{prop.name}", place)
            if item is not None:
                self.primitive_value(prop, item, type_rules, place)
            if extra is not None:
                self.sibling(prop, extra, item is not None, place, depth)

    def primitive_value(self, prop: Property, value: Json, type_rules: TypeRules, path: str) -> None:
        if prop.predicate is None or accepts(prop.predicate, value):
            for key in prop.invariants:
                if not invariants.predicate(key, prop.code)(value):
                    self.error("invariant", words.invariant(key), path)
            return
        kind = JSON_KIND.get(prop.code, "string")
        if words.json_kind(value) != kind:
            self.error("structure", words.wrong_json(prop, value), path)
        elif prop.code == "code" and prop.element.value_set:
            self.error("code-invalid", words.bad_code(value, prop.element.value_set), path)
        else:
            self.error("value", words.bad_value(prop, value, type_rules), path)

    def sibling(self, prop: Property, sibling: Json, has_value: bool, path: str, depth: int) -> None:
        """Check the id and extensions of a primitive."""
        if not isinstance(sibling, dict) or not sibling:
            self.error("structure", f"_{prop.name} holds an object with an id or extensions", path)
            return
        if not has_value and "extension" not in sibling:
            self.error("invariant", "ele-1: a primitive must have a value or an extension", path)
        element = rules.of("Element")
        if depth + 1 > MAX_DEPTH:
            self.error("too-long", f"objects are nested more than {MAX_DEPTH} deep", path)
            return
        for name, value in sibling.items():
            self.property(sibling, name, value, element, path, depth + 1)

    def together(self, o: Object, type_rules: TypeRules, path: str) -> None:
        """Required elements, choices, ext-1."""
        for element in type_rules.choices:
            names = sorted({name for name in element.json_names() if _exists(o, name)})
            if len(names) > 1:
                self.error("structure", f"only one of {', '.join(names)} may be given", f"{path}.{element.name}")
        for element in type_rules.required:
            if not _element_exists(o, element):
                self.error("required", words.missing(element, type_rules), f"{path}.{element.name}")
        if type_rules.name == "Extension":
            value = _element_exists(o, type_rules.definition.elements["value"])
            if ("extension" in o) == value:
                self.error("invariant", words.invariant("ext-1"), path)

    def judge(self, o: Object, keys: tuple[str, ...], type_name: str, path: str, broken: bool) -> None:
        """Add an error for each invariant that does not hold."""
        for key in keys:
            try:
                holds = invariants.predicate(key, type_name)(o)
            except (TypeError, AttributeError, KeyError, ValueError):
                # Invariants presume that elements have their types. Where that is not so, the error is listed already.
                if not broken:
                    raise
                continue
            if not holds:
                self.error("invariant", words.invariant(key), path)


def _exists(o: Object, name: str) -> bool:
    return name in o or "_" + name in o


def _element_exists(o: Object, element: Element) -> bool:
    return any(_exists(o, name) for name in element.json_names())
