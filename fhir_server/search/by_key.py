"""Resources by their keys, and the newest that refer to each of several, in one statement each. docs/graphql.md"""

# ruff: noqa: S608 - the text holds column names of our own and placeholders; every value is bound
from __future__ import annotations

from collections.abc import Sequence

from fhir_server.access.policy import Access
from fhir_server.crypto.hashing import Hasher
from fhir_server.search.include import permitted
from fhir_server.search.sql import SqlParameters

COLUMNS = ("rid", "type_id", "id", "version", "last_updated", "meta", "body", "patient")
"""The columns of both statements; the second has the key referred to behind them."""

_ROW = "r.rid, r.type_id, r.id, r.version, r.last_updated, r.meta::text, r.body::text, r.patient"


def by_keys(tenant_id: int, access: Access, hasher: Hasher, keys: Sequence[int]) -> tuple[str, list[object]]:
    """The resources with these keys that there are and that may be seen."""
    sql = SqlParameters(tenant_id)
    chosen = sql.bind(list(keys), "bigint[]")
    let = "".join(f" AND {one}" for one in permitted(access, sql, hasher, kept=True))
    text = (
        f"SELECT {_ROW} FROM resource r WHERE r.tenant_id = {sql.tenant} AND r.key = ANY ({chosen}) "
        f"AND NOT r.deleted{let}"
    )
    return text, sql.values


def referring(matches: str, sql: SqlParameters, param: int, targets: Sequence[int], count: int, limit: int) -> str:
    """Of the matches of a search the ``count`` newest that refer to each of the targets by one parameter.

    ``matches`` is a SELECT of the ``rid`` of each match, whose values ``sql`` holds. There are at most ``limit`` rows.
    """
    return (
        f"SELECT {_ROW}, w.target FROM (SELECT i.target, i.rid, "
        "row_number() OVER (PARTITION BY i.target ORDER BY i.rid DESC) AS place FROM idx_reference i "
        f"WHERE i.tenant_id = {sql.tenant} AND i.param = {sql.bind(param, 'int')} "
        f"AND i.target = ANY ({sql.bind(list(targets), 'bigint[]')}) AND i.rid IN ({matches})) w "
        f"JOIN resource r ON r.tenant_id = {sql.tenant} AND r.rid = w.rid "
        f"WHERE w.place <= {sql.bind(count, 'bigint')} AND NOT r.deleted ORDER BY w.target, w.rid DESC "
        f"LIMIT {limit}"
    )
