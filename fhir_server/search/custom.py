"""From a SearchParameter resource to what the index is built by: everything that could fail later is refused here.
https://hl7.org/fhir/R4/searchparameter.html, docs/search-parameters.md"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from fhir_server.crypto.hashing import param_id
from fhir_server.errors import Invalid, Issue
from fhir_server.fhirpath import ast
from fhir_server.fhirpath.parser import parse_once
from fhir_server.r4 import definitions
from fhir_server.r4.definitions import Component
from fhir_server.search.paths import Path, Unsupported, paths
from fhir_server.search.registry import Parameter, by_url, parameters
from fhir_server.search.types import BY_TYPE, composite
from fhir_server.store.parameter_definition import Definition

LONGEST_EXPRESSION = 4_000
"""Characters; the longest standard one has under 2,000."""

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_\-]{0,63}")
_ABSTRACT = frozenset(("Resource", "DomainResource"))
_SERVER_SETS = frozenset(("lastUpdated", "versionId"))
_FIRST_KINDS = ("token", "reference")


def definition(resource: dict[str, Any]) -> Definition | None:
    """What a SearchParameter that validation has accepted defines; None where it is not to be in use.

    That is one whose status is not active, or which is a standard one under its own URL. Raises Invalid with every
    reason why it cannot be used, each with its place.
    """
    if resource.get("status") != "active" or resource.get("url") in by_url():
        return None
    issues: list[Issue] = []
    types = _types(resource, issues)
    found = Definition(
        str(resource.get("code", "")),
        str(resource.get("type", "")),
        str(resource.get("url", "")),
        str(resource.get("expression", "")),
        types,
        tuple(sorted(target for target in _texts(resource, "target") if target not in _ABSTRACT)),
        tuple((str(c.get("definition", "")), str(c.get("expression", ""))) for c in resource.get("component", ())),
    )
    _check_code(found, issues)
    if found.type not in BY_TYPE or found.type == "special":
        _add(issues, "type", f"A parameter of type {found.type} cannot be defined; {', '.join(_TYPES)} can.")
    elif not issues:
        _check_expression(found, issues)
    if issues:
        raise Invalid("The search parameter cannot be used.", issues=issues)
    return found


_TYPES = tuple(name for name in BY_TYPE if name != "special")


def _add(issues: list[Issue], element: str, text: str, code: str = "business-rule") -> None:
    issues.append(Issue("error", code, text, f"SearchParameter.{element}"))


def _texts(resource: dict[str, Any], name: str) -> list[str]:
    return [one for one in resource.get(name, ()) if isinstance(one, str)]


def _types(resource: dict[str, Any], issues: list[Issue]) -> tuple[str, ...]:
    known = definitions.load().resource_types
    found: set[str] = set()
    for position, base in enumerate(resource.get("base", ())):
        if base in _ABSTRACT:
            found.update(name for name in known if base == "Resource" or _is_domain_resource(name))
        elif base in known:
            found.add(base)
        else:
            _add(issues, f"base[{position}]", f"{base!r} is no resource type of FHIR R4.", "value")
    return tuple(sorted(found))


def _is_domain_resource(name: str) -> bool:
    return definitions.load().types[name].base == "DomainResource"


@lru_cache(maxsize=1)
def _standard_params() -> frozenset[int]:
    known = definitions.load().resource_types
    return frozenset(parameter.param for name in known for parameter in parameters(name).values())


def _check_code(found: Definition, issues: list[Issue]) -> None:
    if not _CODE.fullmatch(found.code):
        _add(
            issues, "code", "A code is a letter and at most 63 more of A-Z a-z 0-9 - _, for it stands in URLs.", "value"
        )
        return
    for resource_type in found.types:
        if found.code in parameters(resource_type):
            _add(
                issues, "code", f"{resource_type} has a standard parameter '{found.code}'; choose another code.",
                "duplicate",
            )  # fmt: skip
            return
        if param_id(f"{resource_type}.{found.code}") in _standard_params():
            _add(
                issues, "code", f"'{found.code}' cannot be used for {resource_type}; choose another code.", "duplicate"
            )
            return


def _check_expression(found: Definition, issues: list[Issue]) -> None:
    text = found.expression
    if not text:
        _add(issues, "expression", "An expression is needed: where the values are, in FHIRPath.", "required")
        return
    if len(text) > LONGEST_EXPRESSION:
        _add(issues, "expression", f"An expression may have {LONGEST_EXPRESSION} characters; this has {len(text)}.")
        return
    try:
        tree = parse_once(text)
    except ValueError as error:
        _add(issues, "expression", f"This is no FHIRPath: {error}.", "invalid")
        return
    for node in tree.walk():
        if isinstance(node, ast.Literal) and isinstance(node.value, str) and "\0" in node.value:
            _add(issues, "expression", f"A NUL in a text, at character {node.position + 1}, is found nowhere.")
            return
        if isinstance(node, ast.Member) and node.name in _SERVER_SETS:
            _add(
                issues, "expression", f"{node.name}, at character {node.position + 1}, is set by the server when a"
                " version is stored, and cannot be indexed; search by _lastUpdated.",
            )  # fmt: skip
            return
    for resource_type in found.types:
        problem = _problem(found, resource_type)
        if problem:
            _add(issues, "expression", problem, "invalid")
            return


def _problem(found: Definition, resource_type: str) -> str:
    """Why the parameter cannot be indexed for one of its types; "" where it can."""
    try:
        ways = paths(found.expression, resource_type)
    except Unsupported as error:
        return f"The expression cannot be used for {resource_type}: {error}."
    if not ways:
        return f"The expression finds nothing in a {resource_type}: no part of it starts there."
    if found.type == "composite":
        return _composite_problem(found, resource_type, ways)
    usable = BY_TYPE[found.type].EXTRACT
    if not any(path.type in usable for path in ways):
        names = ", ".join(sorted({path.type for path in ways})[:8])
        return (
            f"The expression yields {names} in a {resource_type}; a parameter of type {found.type} has values of "
            f"{', '.join(usable)}."
        )
    if found.type == "reference" and not found.targets and any(path.type == "Resource" for path in ways):
        return "The expression yields whole resources; SearchParameter.target must name their types."
    return ""


def _composite_problem(found: Definition, resource_type: str, ways: tuple[Path, ...]) -> str:
    if len(found.components) != 2:
        return "A composite needs two components."
    for url, _ in found.components:
        if url not in by_url():
            return f"A component's definition is the URL of a standard parameter; {url!r} is none."
    components = tuple(Component(url, expression) for url, expression in found.components)
    param = param_id(f"{resource_type}.{found.code}")
    parameter = Parameter(
        resource_type, found.code, found.type, param, found.url, found.expression, found.targets, components
    )
    for path in ways:
        try:
            parts = composite.parts(parameter, path.type)
        except (ValueError, KeyError) as error:
            return f"The components cannot be used in {path.type}: {error}."
        if parts[0].kind not in _FIRST_KINDS:
            return "The first component must be a token or a reference."
        if any(way.from_resource for part in parts for way in part.paths):
            return "A component starts at the element of the composite, not at %resource."
    return ""
