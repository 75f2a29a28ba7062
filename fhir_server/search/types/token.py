"""Token search: codes, identifiers, contact points, booleans. https://hl7.org/fhir/R4/search.html#token"""

from __future__ import annotations

from typing import Any

from fhir_server.crypto.hashing import Hasher
from fhir_server.search import token_variants
from fhir_server.search.condition import Condition
from fhir_server.search.paths import paths
from fhir_server.search.query import Clause
from fhir_server.search.registry import Parameter
from fhir_server.search.sql import SqlParameters
from fhir_server.search.values import bad_modifier, bad_value
from fhir_server.store.index_rows import IndexRows

MODIFIERS = ("not", "of-type", "in", "not-in", "above", "below")
"""https://hl7.org/fhir/R4/search.html#token; not every parameter takes each, see `modifiers`."""

LOOKED_UP = frozenset({"in", "not-in", "above", "below"})
"""Modifiers that stand for codes, which are looked up before the search is compiled: interactions/value_sets.py."""

_CODES = frozenset({"Coding", "CodeableConcept", "code"})


def codeable_concept(value: dict[str, Any], params: tuple[int, ...], rows: IndexRows, hasher: Hasher) -> None:
    """Write each coding of a CodeableConcept."""
    for item in value.get("coding", ()):
        _pair(item.get("system"), item.get("code"), params, rows, hasher)


def coding(value: dict[str, Any], params: tuple[int, ...], rows: IndexRows, hasher: Hasher) -> None:
    """Write a Coding."""
    _pair(value.get("system"), value.get("code"), params, rows, hasher)


def identifier(value: dict[str, Any], params: tuple[int, ...], rows: IndexRows, hasher: Hasher) -> None:
    """Write an Identifier by its system and value."""
    system, text = value.get("system"), value.get("value")
    # The values of identifiers do not repeat, but their systems do.
    hashed = hasher.uncached
    for param in params:
        if text is not None:
            rows.tokens += (hashed(f"{param}:c:{text}"), hashed(f"{param}:b:{'' if system is None else system}|{text}"))
        if system is not None:
            rows.tokens.append(hasher(f"{param}:s:{system}"))
    if "type" in value:
        for variant in token_variants.of_type(value):
            rows.tokens += [hashed(f"{param}:{variant}") for param in params]


def contact_point(value: dict[str, Any], params: tuple[int, ...], rows: IndexRows, hasher: Hasher) -> None:
    """Write the value of a ContactPoint; its system is no token system."""
    text = value.get("value")
    if text is not None:
        rows.tokens += [hasher.uncached(f"{param}:c:{text}") for param in params]


def fixed(value: str, params: tuple[int, ...], rows: IndexRows, hasher: Hasher) -> None:
    """Write a code, id, string or uri, whose system its element implies."""
    for param in params:
        rows.tokens.append(hasher(f"{param}:c:{value}"))


def boolean(value: bool, params: tuple[int, ...], rows: IndexRows, hasher: Hasher) -> None:
    """Write true or false."""
    fixed("true" if value else "false", params, rows, hasher)


def fixed_among_coded(value: str | bool, params: tuple[int, ...], rows: IndexRows, hasher: Hasher) -> None:
    """Write a fixed value of a parameter that also has codings, so that ``|code`` finds it there."""
    text = value if isinstance(value, str) else "true" if value else "false"
    for param in params:
        rows.tokens += (hasher(f"{param}:c:{text}"), hasher(f"{param}:b:|{text}"))


def _pair(system: str | None, code: str | None, params: tuple[int, ...], rows: IndexRows, hasher: Hasher) -> None:
    """token_variants.of_coding(), without its lists: this is the hottest spot of indexing."""
    add = rows.tokens.append
    for param in params:
        if code is not None:
            add(hasher(f"{param}:c:{code}"))
            add(hasher(f"{param}:b:{'' if system is None else system}|{code}"))
        if system is not None:
            add(hasher(f"{param}:s:{system}"))


EXTRACT = {
    "CodeableConcept": codeable_concept,
    "Coding": coding,
    "Identifier": identifier,
    "ContactPoint": contact_point,
    "boolean": boolean,
    "code": fixed,
    "id": fixed,
    "string": fixed,
    "uri": fixed,
}


def modifiers(parameter: Parameter) -> tuple[str, ...]:
    """The modifiers that a parameter takes: codes have hierarchies and value sets, identifiers have types."""
    kinds = {path.type for path in paths(parameter.expression, parameter.resource_type)}
    taken = {"not"} | (LOOKED_UP if kinds & _CODES else set()) | ({"of-type"} if "Identifier" in kinds else set())
    return tuple(name for name in MODIFIERS if name in taken)


def hashes(clause: Clause, hasher: Hasher) -> list[int]:
    """The index hashes of which a match has at least one; [] when nothing can match.

    Raises BadRequest for a value that is no token.
    """
    parameter = clause.parameter
    try:
        variants = _variants(clause)
    except ValueError as error:
        raise bad_value(clause, str(error)) from None
    return [hasher.uncached(f"{parameter.param}:{variant}") for variant in variants]


def _variants(clause: Clause) -> list[str]:
    among = paths(clause.parameter.expression, clause.parameter.resource_type)
    if clause.modifier in LOOKED_UP:
        return token_variants.of_codes(clause.codes or (), among)
    if clause.modifier == "of-type":
        return [token_variants.of_type_searched(value) for value in clause.values]
    return [variant for value in clause.values for variant in token_variants.searched(value, among)]


def where(clause: Clause, sql: SqlParameters, hasher: Hasher) -> Condition:
    """What the clause is in SQL. Raises BadRequest for unknown modifiers and values that are no tokens.

    Codes that have not been looked up match nothing. ``:not`` and ``:not-in`` also match resources without any value.
    https://hl7.org/fhir/R4/search.html#modifiers
    """
    if clause.modifier:
        known = modifiers(clause.parameter)
        if clause.modifier not in known:
            raise bad_modifier(clause, *known)
    if clause.modifier in LOOKED_UP and clause.codes is None:
        # Their values alone have been checked, or somebody forgot: neither may find what it should not.
        return Condition(row="false")
    condition = token_variants.condition(hashes(clause, hasher), sql)
    return Condition(row=f"NOT ({condition.row})") if clause.modifier in ("not", "not-in") else condition
