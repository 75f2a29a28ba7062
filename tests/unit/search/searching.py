"""A tenant to write resources to and search them by one clause, through the tables of the store."""

from __future__ import annotations

from typing import Any

import psycopg

from fhir_server.crypto.hashing import Hasher
from fhir_server.r4 import definitions, json
from fhir_server.search import support
from fhir_server.search.index import extract
from fhir_server.search.parse import split
from fhir_server.search.query import Clause
from fhir_server.search.registry import parameters
from fhir_server.search.sql import SqlParameters
from fhir_server.search.types import composite
from fhir_server.store.resources import Write, put

HASHER = Hasher(b"a key for the tests of searching")


Codes = tuple[tuple[str, str], ...]


def clause(resource_type: str, query: str, codes: Codes | None = None) -> Clause:
    """A clause as parse.py makes it of ``code:modifier=values``, with the codes that were looked up for it."""
    name, _, value = query.partition("=")
    code, _, modifier = name.partition(":")
    return Clause(parameters(resource_type)[code], modifier, tuple(split(value)), f"{name}={value}", codes)


class Searching:
    """Writes resources, and finds their ids by one clause."""

    def __init__(self, connection: psycopg.Connection, tenant_id: int) -> None:
        self.connection = connection
        self.tenant_id = tenant_id

    def write(self, *resources: dict[str, Any]) -> None:
        for resource in resources:
            body = {k: v for k, v in resource.items() if k not in ("resourceType", "id", "meta")}
            put(
                self.connection,
                self.tenant_id,
                HASHER,
                Write(
                    resource["resourceType"], resource["id"], "POST", None, json.dumps(resource.get("meta", {})),
                    json.dumps(body), extract(resource, HASHER),
                ),
            )  # fmt: skip

    def find(self, resource_type: str, query: str, codes: Codes | None = None) -> str:
        """The ids that match, sorted, with spaces between. Where a condition has two forms, both must agree."""
        sql = SqlParameters(self.tenant_id)
        wanted = clause(resource_type, query, codes)
        is_composite = wanted.parameter.type == "composite" and not wanted.modifier
        where = composite.where if is_composite else support.where
        condition = where(wanted, sql, HASHER)
        forms = [f"r.rid IN ({condition.rids})"] if condition.rids else []
        forms += [condition.row] if condition.row else []
        found = [self._select(resource_type, form, list(sql.values)) for form in forms]
        assert len(set(found)) == 1, f"the two forms of {wanted.text} differ: {found}"
        if condition.unique:
            rids = self._rows(condition.rids, list(sql.values))
            assert len(rids) == len(set(rids))
        return found[0]

    def _select(self, resource_type: str, condition: str, values: list[Any]) -> str:
        values.append(definitions.load().type_ids[resource_type])
        # The condition is the one under test; every value in it is bound.
        text = f"SELECT r.id FROM resource r WHERE r.tenant_id = $1 AND r.type_id = ${len(values)} AND ({condition})"  # noqa: S608
        return " ".join(sorted(row[0] for row in self._rows(text, values)))

    def _rows(self, text: str, values: list[Any]) -> list[tuple[Any, ...]]:
        with self.connection.transaction(), psycopg.RawCursor(self.connection) as cursor:
            cursor.execute("SELECT set_config('fhir.tenant', $1, true)", [str(self.tenant_id)])
            return cursor.execute(text, values).fetchall()
