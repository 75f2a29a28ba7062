"""Reference search: by id, type and id, URL, or identifier. https://hl7.org/fhir/R4/search.html#reference"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

from fhir_server.crypto.hashing import Hasher, param_id
from fhir_server.r4 import definitions, references
from fhir_server.search import token_variants
from fhir_server.search.condition import Condition
from fhir_server.search.paths import Path, WhereType, paths
from fhir_server.search.query import Clause
from fhir_server.search.registry import Parameter, parameters
from fhir_server.search.sql import SqlParameters
from fhir_server.search.values import bad_modifier, bad_value, unescape
from fhir_server.store.index_rows import IndexRows

_IDENTIFIER = (Path((), "Identifier"),)


def reference(value: dict[str, Any], params: tuple[int, ...], rows: IndexRows, hasher: Hasher) -> None:
    """Write what a Reference points at, and its identifier for ``:identifier``; contained resources are no targets."""
    text = value.get("reference")
    if text is not None:
        target = references.target(text)
        if target:
            key = hasher(target)
            for param in params:
                rows.references.append((param, key))
    identifier = value.get("identifier")
    if identifier is not None:
        for variant in token_variants.written("Identifier", identifier):
            rows.tokens += [hasher(f"{param}:i:{variant}") for param in params]


def canonical(value: str, params: tuple[int, ...], rows: IndexRows, hasher: Hasher) -> None:
    """Write a canonical with and without its version. https://hl7.org/fhir/R4/references.html#canonical"""
    target = references.target(value)
    if target:
        rows.references += [(param, hasher(target)) for param in params]
        if "|" in target:
            rows.references += [(param, hasher(target.partition("|")[0])) for param in params]
        # What joins this with the resource of that URL: another version of it is another resource.
        rows.references += [(param, hasher(f"~{target}")) for param in params]


def resource(value: dict[str, Any], params: tuple[int, ...], rows: IndexRows, hasher: Hasher) -> None:
    """Write the key of a resource that stands in the place of a reference: the first entry of a document."""
    resource_id = value.get("id")
    if resource_id is not None:
        key = hasher(f"{value['resourceType']}/{resource_id}")
        rows.references += [(param, key) for param in params]


EXTRACT = {"Reference": reference, "canonical": canonical, "uri": canonical, "Resource": resource}


def canonical_url(value: dict[str, Any], params: tuple[int, ...], rows: IndexRows, hasher: Hasher) -> None:
    """Write a resource's own canonical URL, with and without its version, for the references that lead to it."""
    url, version = value["url"], value.get("version")
    rows.references += [(param, hasher(f"~{url}")) for param in params]
    if version is not None:
        rows.references += [(param, hasher(f"~{url}|{version}")) for param in params]


@lru_cache(maxsize=1_024)
def own_url(resource_type: str) -> int:
    """The number under which the index holds the own canonical URL of resources of a type."""
    return param_id(f"{resource_type}.url#own")


@cache
def has_url(resource_type: str) -> bool:
    """Whether resources of a type may have a canonical URL. https://hl7.org/fhir/R4/resource.html#canonical"""
    element = definitions.load().types[resource_type].elements.get("url")
    return element is not None and element.types[0].code == "uri"


@cache
def holds_canonicals(parameter: Parameter) -> bool:
    """Whether the values of a parameter are canonical URLs, or may be."""
    return any(path.type in ("canonical", "uri") for path in paths(parameter.expression, parameter.resource_type))


@cache
def holds_references(parameter: Parameter) -> bool:
    """Whether the values of a parameter are References, or may be."""
    return any(path.type not in ("canonical", "uri") for path in paths(parameter.expression, parameter.resource_type))


def allowed_types(clause: Clause) -> tuple[str, ...]:
    """The resource types that the clause's parameter may refer to, narrowed by a ``:Type`` modifier.

    Raises BadRequest for a modifier that names no such type.
    """
    known = tuple(t for t in clause.parameter.targets if t in definitions.load().type_ids)
    known = known or definitions.load().resource_types
    if not clause.modifier:
        return known
    if clause.modifier in known:
        return (clause.modifier,)
    shown = known if len(known) <= 20 else ("Type",)
    raise bad_modifier(clause, "identifier", *shown)


def targets(clause: Clause) -> list[str]:
    """What the clause may point at, as references.target() writes it; any of them matches.

    A bare id may be of any type that the parameter allows. Raises BadRequest for unknown modifiers and values.
    """
    types = allowed_types(clause)
    found: list[str] = []
    for escaped in clause.values:
        value = unescape(escaped)
        if not value:
            raise bad_value(clause, "the value is empty; an id, Type/id or URL is needed")
        named = references.parse(value)
        if named.kind == "fragment":
            raise bad_value(clause, "contained resources cannot be searched for; an id, Type/id or URL is needed")
        if named.type and named.type not in types and (clause.modifier or named.kind == "relative"):
            raise bad_value(clause, f"{clause.parameter.code} refers to {_names(types)}, not to {named.type}")
        if named.kind == "uri" and references.ID.fullmatch(value) and not _is_canonical(clause):
            found.extend(f"{resource_type}/{value}" for resource_type in types)
        else:
            found.append(references.target(value))
    return found


def _names(types: tuple[str, ...]) -> str:
    return " or ".join(types) if len(types) <= 20 else f"one of {len(types)} types"


def _is_canonical(clause: Clause) -> bool:
    parameter = clause.parameter
    found = paths(parameter.expression, parameter.resource_type)
    return bool(found) and all(path.type in ("canonical", "uri") for path in found)


@cache
def names_row_patient(parameter: Parameter) -> bool:
    """Whether the parameter reads the very element that ``resource.patient`` is taken from."""
    code = definitions.load().patient_path.get(parameter.resource_type)
    if code is None:
        return False
    return _elements(parameter) == _elements(parameters(parameter.resource_type)[code])


def _elements(parameter: Parameter) -> set[tuple[object, ...]]:
    return {
        tuple(step for step in path.steps if not isinstance(step, WhereType))
        for path in paths(parameter.expression, parameter.resource_type)
    }


def _chosen(keys: list[int], sql: SqlParameters) -> str:
    return f"= {sql.bind(keys[0], 'bigint')}" if len(keys) == 1 else f"= ANY({sql.bind(keys, 'bigint[]')})"


def _identifier_hashes(clause: Clause, hasher: Hasher) -> list[int]:
    found: list[int] = []
    for value in clause.values:
        try:
            variants = token_variants.searched(value, _IDENTIFIER)
        except ValueError as error:
            raise bad_value(clause, str(error)) from None
        found += (hasher.uncached(f"{clause.parameter.param}:i:{variant}") for variant in variants)
    return found


def where(clause: Clause, sql: SqlParameters, hasher: Hasher) -> Condition:
    """What the clause is in SQL. Raises BadRequest for unknown modifiers and values.

    The patient that the row itself names is compared there too: nine of ten clinical searches name a patient.
    """
    if clause.modifier == "identifier":
        return token_variants.condition(_identifier_hashes(clause, hasher), sql)
    names = targets(clause)
    chosen = _chosen([hasher.uncached(name) for name in names], sql)
    rids = (
        f"SELECT i.rid FROM idx_reference i WHERE i.tenant_id = {sql.tenant} AND "  # noqa: S608
        f"i.param = {sql.bind(clause.parameter.param, 'int')} AND i.target {chosen}"
    )
    on_row = names_row_patient(clause.parameter) and all(references.named_type(name) == "Patient" for name in names)
    return Condition(rids, f"r.patient {chosen}" if on_row else "", unique=len(names) == 1)
