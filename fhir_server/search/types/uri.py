"""URI search: whole values, case-sensitive. https://hl7.org/fhir/R4/search.html#uri"""

from __future__ import annotations

from fhir_server.crypto.hashing import Hasher
from fhir_server.search import token_variants
from fhir_server.search.condition import Condition
from fhir_server.search.query import Clause
from fhir_server.search.sql import SqlParameters
from fhir_server.search.values import bad_modifier, bad_value, unescape
from fhir_server.store.index_rows import IndexRows


def uri(value: str, params: tuple[int, ...], rows: IndexRows, hasher: Hasher) -> None:
    """Write a uri or url."""
    for param in params:
        rows.tokens.append(hasher(f"{param}:u:{value}"))


def canonical(value: str, params: tuple[int, ...], rows: IndexRows, hasher: Hasher) -> None:
    """Write a canonical with and without its version. https://hl7.org/fhir/R4/references.html#canonical"""
    uri(value, params, rows, hasher)
    if "|" in value:
        uri(value.partition("|")[0], params, rows, hasher)


EXTRACT = {"uri": uri, "url": uri, "canonical": canonical}


def where(clause: Clause, sql: SqlParameters, hasher: Hasher) -> Condition:
    """What the clause is in SQL. Raises BadRequest for every modifier and for an empty value."""
    if clause.modifier:
        raise bad_modifier(clause)
    if "" in clause.values:
        raise bad_value(clause, "the value is empty; a whole URI is needed")
    return token_variants.condition(
        [hasher.uncached(f"{clause.parameter.param}:u:{unescape(v)}") for v in clause.values], sql
    )
