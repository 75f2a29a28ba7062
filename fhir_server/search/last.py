"""The latest observations of each kind among those that a search matches, in one statement. docs/lastn.md"""

# ruff: noqa: S608 - the text holds column names of our own and placeholders; every value is bound
from __future__ import annotations

from fhir_server.search.sql import SqlParameters

COLUMNS = ("rid", "id", "version", "last_updated", "meta", "body", "subject", "code", "date_low")
"""The columns of the statement."""


def latest(matches: str, sql: SqlParameters, most: int, limit: int) -> str:
    """The ``most`` latest of each subject and code as written, ties included, at most ``limit`` rows in all.

    ``matches`` is a SELECT of the ``rid`` of each match, whose values ``sql`` holds. Codes that mean the same are still
    apart here: their observations stand among the rows, as the latest of all are among the latest of each.
    """
    # OFFSET 0 keeps the planner from reading the bodies of all matches to sort them.
    return (
        "SELECT r.rid, r.id, r.version, r.last_updated, r.meta::text, r.body::text, w.subject, w.code::text, "
        "w.date_low FROM (SELECT r.rid, r.date_low, r.body -> 'subject' ->> 'reference' AS subject, "
        "r.body -> 'code' AS code, rank() OVER (PARTITION BY r.body -> 'subject' ->> 'reference', r.body -> 'code' "
        "ORDER BY r.date_low DESC NULLS LAST) AS place "
        f"FROM resource r WHERE r.tenant_id = {sql.tenant} AND r.rid IN ({matches}) AND NOT r.deleted OFFSET 0) w "
        "CROSS JOIN LATERAL (SELECT r.rid, r.id, r.version, r.last_updated, r.meta, r.body FROM resource r "
        f"WHERE r.tenant_id = {sql.tenant} AND r.rid = w.rid OFFSET 0) r "
        f"WHERE w.place <= {sql.bind(most, 'bigint')} LIMIT {limit}"
    )
