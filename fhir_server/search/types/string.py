"""String search: the beginning of a text, without regard to case and accents. https://hl7.org/fhir/R4/search.html#string"""

from __future__ import annotations

from typing import Any

from fhir_server.crypto.hashing import Hasher
from fhir_server.search.condition import Condition
from fhir_server.search.query import Clause
from fhir_server.search.sql import SqlParameters
from fhir_server.search.text_forms import normalise, starts_with
from fhir_server.search.values import bad_modifier, bad_value, unescape
from fhir_server.store.index_rows import IndexRows

MODIFIERS = ("exact", "contains")

FILTER_OPERATORS = {
    "eq": "{column} = {value}",
    "ew": "right({column}, length({value})) = {value}",
    "gt": "{column} > {value}",
    "ge": "{column} >= {value}",
    "lt": "{column} < {value}",
    "le": "{column} <= {value}",
}
"""What the operators of a _filter are on the normalised text; search/filter_language.py puts them in for modifiers.

https://hl7.org/fhir/R4/search_filter.html#ops
"""

_LONGEST_REPEATED = 40


def text(value: str, params: tuple[int, ...], rows: IndexRows, hasher: Hasher) -> None:
    """Write a string or markdown."""
    normalised = normalise(value)
    # Names and cities come again; the hasher would only keep long texts in memory.
    exact = hasher(value) if len(value) <= _LONGEST_REPEATED else hasher.uncached(value)
    for param in params:
        rows.strings.append((param, normalised, exact))


def human_name(value: dict[str, Any], params: tuple[int, ...], rows: IndexRows, hasher: Hasher) -> None:
    """Write each part of a HumanName. https://hl7.org/fhir/R4/datatypes.html#HumanName"""
    _parts(value, ("text", "family"), ("given", "prefix", "suffix"), params, rows, hasher)


def address(value: dict[str, Any], params: tuple[int, ...], rows: IndexRows, hasher: Hasher) -> None:
    """Write each part of an Address. https://hl7.org/fhir/R4/datatypes.html#Address"""
    _parts(value, ("text", "city", "district", "state", "postalCode", "country"), ("line",), params, rows, hasher)


def _parts(
    value: dict[str, Any],
    single: tuple[str, ...],
    many: tuple[str, ...],
    params: tuple[int, ...],
    rows: IndexRows,
    hasher: Hasher,
) -> None:
    for name in single:
        part = value.get(name)
        if part is not None:
            text(part, params, rows, hasher)
    for name in many:
        for part in value.get(name, ()):
            if part is not None:
                text(part, params, rows, hasher)


EXTRACT = {"string": text, "markdown": text, "HumanName": human_name, "Address": address}


def _condition(clause: Clause, sql: SqlParameters, hasher: Hasher) -> str:
    if clause.modifier not in ("", *MODIFIERS, *FILTER_OPERATORS):
        raise bad_modifier(clause, *MODIFIERS)
    conditions = []
    for escaped in clause.values:
        value = unescape(escaped)
        folded = normalise(value)
        if not value or (not folded and clause.modifier != "exact"):
            raise bad_value(clause, "the value is empty; at least one character is needed")
        if clause.modifier == "exact":
            # The normalised text lets the index find what the hash then decides.
            found = f"i.value = {sql.bind(folded, 'text')} AND i.exact = {sql.bind(hasher.uncached(value), 'bigint')}"
        elif clause.modifier == "contains":
            found = f"strpos(i.value, {sql.bind(folded, 'text')}) > 0"
        elif clause.modifier in FILTER_OPERATORS:
            found = FILTER_OPERATORS[clause.modifier].format(column="i.value", value=sql.bind(folded, "text"))
        else:
            found = starts_with(folded, sql, "i.value")
        conditions.append(f"({found})")
    return f"i.param = {sql.bind(clause.parameter.param, 'int')} AND ({' OR '.join(conditions)})"


def where(clause: Clause, sql: SqlParameters, hasher: Hasher) -> Condition:
    """What the clause is in SQL. Raises BadRequest for unknown modifiers and empty values."""
    return Condition(
        f"SELECT i.rid FROM idx_string i WHERE i.tenant_id = {sql.tenant} AND {_condition(clause, sql, hasher)}"  # noqa: S608
    )
