"""URI search: whole values, case-sensitive, and what is above or below one. https://hl7.org/fhir/R4/search.html#uri

A whole value is found by its hash; what is above a URI by the hashes of what it is below of, which need no index of
their own. What is below one is found by its beginning: `below_key` writes URIs so that a beginning ends where a segment
does. docs/decisions/0009-uri-hierarchy.md
"""

from __future__ import annotations

import re
from functools import lru_cache

from fhir_server.crypto.hashing import Hasher
from fhir_server.search import token_variants
from fhir_server.search.condition import Condition
from fhir_server.search.query import Clause
from fhir_server.search.sql import SqlParameters
from fhir_server.search.text_forms import starts_with
from fhir_server.search.values import bad_modifier, bad_value, unescape
from fhir_server.store.index_rows import IndexRows

MODIFIERS = ("above", "below")

MAX_LENGTH = 500
"""Characters of a URI that the index of beginnings holds; a longer one is found below its first 500."""

_MOST_SEGMENTS = 100
_LONGEST_REPEATED = 200

_OID = "urn:oid:"
_HIERARCHICAL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#|]+")
# What ends a segment of a URL: the version of a canonical and a fragment are below what they belong to.
_INNER = re.compile(r"/?([?#|])")
_ENDS = re.compile(r"[/?#|]+")


def uri(value: str, params: tuple[int, ...], rows: IndexRows, hasher: Hasher) -> None:
    """Write a uri or url."""
    _write(value, params, rows, hasher)
    _write_below(value, params, rows, hasher)


def canonical(value: str, params: tuple[int, ...], rows: IndexRows, hasher: Hasher) -> None:
    """Write a canonical with and without its version. https://hl7.org/fhir/R4/references.html#canonical"""
    _write(value, params, rows, hasher)
    if "|" in value:
        _write(value.partition("|")[0], params, rows, hasher)
    _write_below(value, params, rows, hasher)


EXTRACT = {"uri": uri, "url": uri, "canonical": canonical}


def _write(value: str, params: tuple[int, ...], rows: IndexRows, hasher: Hasher) -> None:
    for param in params:
        rows.tokens.append(hasher(f"{param}:u:{value}"))


def _write_below(value: str, params: tuple[int, ...], rows: IndexRows, hasher: Hasher) -> None:
    # Profiles repeat: nearly every resource names one of a few.
    key = _repeated_key(value) if len(value) <= _LONGEST_REPEATED else below_key(value)
    if key:
        for param in params:
            rows.strings.append((param, key[:MAX_LENGTH], hasher(f"{param}:u:{value}")))


def below_key(value: str) -> str:
    """The URI with an end behind each segment, so that all that is below it begins with the same text.

    ``http://a.org/b|1`` is ``http://a.org/b/|1/``, ``urn:oid:1.2`` is ``urn:oid:1.2.``; "" for a URI without hierarchy.
    NUL, which PostgreSQL cannot store, has no place in a URI either.
    """
    if "\0" in value:
        return ""
    if value.startswith(_OID):
        return f"{value.rstrip('.')}."
    if _HIERARCHICAL.match(value) is None:
        return ""
    start = value.index("://") + 3
    rest = _INNER.sub(r"/\1", value[start:].rstrip("/"))
    return f"{value[:start]}{rest}/"


_repeated_key = lru_cache(maxsize=2_048)(below_key)


def ancestors(value: str) -> list[str]:
    """The URI itself and every URI that it is below of, with and without a "/" at the end; [] without hierarchy."""
    if value.startswith(_OID):
        arcs = value.removeprefix(_OID).rstrip(".").split(".")
        return [_OID + ".".join(arcs[:count]) for count in range(1, len(arcs) + 1)]
    authority = _HIERARCHICAL.match(value)
    if authority is None:
        return []
    found = {value: None, value.rstrip("/"): None, value.rstrip("/") + "/": None}
    for end in _ENDS.finditer(value, authority.end()):
        found |= {value[: end.start()]: None, value[: end.start()] + "/": None}
    return list(found)


def where(clause: Clause, sql: SqlParameters, hasher: Hasher) -> Condition:
    """What the clause is in SQL. Raises BadRequest for an unknown modifier, and values that it cannot be asked of."""
    if clause.modifier not in ("", *MODIFIERS):
        raise bad_modifier(clause, *MODIFIERS)
    if "" in clause.values:
        raise bad_value(clause, "the value is empty; a whole URI is needed")
    values = [unescape(value) for value in clause.values]
    if clause.modifier == "below":
        return _below(clause, values, sql)
    if clause.modifier == "above":
        values = [ancestor for value in values for ancestor in _ancestors(clause, value)]
    return token_variants.condition(
        [hasher.uncached(f"{clause.parameter.param}:u:{value}") for value in dict.fromkeys(values)], sql
    )


def _ancestors(clause: Clause, value: str) -> list[str]:
    found = ancestors(value)
    if not found:
        raise bad_value(clause, _NO_HIERARCHY)
    if len(found) > 2 * _MOST_SEGMENTS:
        raise bad_value(clause, f"a URI of up to {_MOST_SEGMENTS} segments is needed")
    return found


def _below(clause: Clause, values: list[str], sql: SqlParameters) -> Condition:
    conditions = []
    for value in values:
        key = below_key(value)
        if not key:
            raise bad_value(clause, _NO_HIERARCHY)
        if len(key) > MAX_LENGTH:
            raise bad_value(clause, f"a URI of less than {MAX_LENGTH} characters is needed")
        conditions.append(f"({starts_with(key, sql, 'i.value')})")
    return Condition(
        f"SELECT i.rid FROM idx_string i WHERE i.tenant_id = {sql.tenant} AND "  # noqa: S608
        f"i.param = {sql.bind(clause.parameter.param, 'int')} AND ({' OR '.join(conditions)})"
    )


_NO_HIERARCHY = "only a URL such as http://example.org/fhir or a urn:oid: has others above and below it"
