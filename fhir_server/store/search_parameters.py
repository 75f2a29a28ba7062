"""Search parameters that tenants define themselves: every statement on their table. docs/search-parameters.md"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import psycopg

from fhir_server.errors import Conflict
from fhir_server.store import reindex_runs
from fhir_server.store.parameter_definition import Definition

MOST = 200
"""Parameters that one tenant may have: each takes a part of the time of each write."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A search parameter in use. ``state`` is building, active, failed or retired; ``run`` builds its index.

    ``done`` of ``total`` resources are indexed so far.
    """

    definition: Definition
    id: str
    shared: bool
    state: str
    error: str
    run: str
    done: int
    total: int


_ENTRIES = """
    SELECT p.code, p.type, p.url, p.expression, p.types, p.targets, p.components, p.id, p.shared, p.state, p.error,
           p.run, coalesce(r.done, 0), coalesce(r.total, 0)
      FROM search_parameter p LEFT JOIN reindex_run r ON r.tenant_id = p.tenant_id AND r.id = p.run
     WHERE p.tenant_id = %s
"""


def versions(connection: psycopg.Connection) -> dict[int, int]:
    """The version of each tenant that has, or had, parameters of its own: it grows with every change of them."""
    return dict(connection.execute("SELECT tenant_id, version FROM search_parameter_change").fetchall())


def entries(connection: psycopg.Connection, tenant_id: int) -> tuple[int, list[Entry]]:
    """The generation of what is indexed, and every parameter but the retired; in a transaction of the tenant."""
    rows = connection.execute(
        "SELECT c.generation, e.* FROM search_parameter_change c"
        f" LEFT JOIN ({_ENTRIES} AND p.state <> 'retired') e ON true WHERE c.tenant_id = %s ORDER BY e.shared, e.id",
        [tenant_id, tenant_id],
    ).fetchall()
    return (rows[0][0] if rows else 0), [_entry(row[1:]) for row in rows if row[1] is not None]


def find(connection: psycopg.Connection, tenant_id: int, parameter_id: str, *, shared: bool = False) -> Entry | None:
    """One parameter, a retired one too; in a transaction of the tenant."""
    row = connection.execute(
        _ENTRIES + " AND p.id = %s AND p.shared = %s", [tenant_id, parameter_id, shared]
    ).fetchone()
    return _entry(row) if row else None


def _entry(row: tuple[object, ...]) -> Entry:
    code, kind, url, expression, types, targets, components = row[:7]
    pairs = tuple((one[0], one[1]) for one in components)  # type: ignore[attr-defined]
    definition = Definition(code, kind, url, expression, tuple(types), tuple(targets), pairs)  # type: ignore[arg-type]
    return Entry(definition, *row[7:])  # type: ignore[arg-type]


def register(
    connection: psycopg.Connection,
    tenant_id: int,
    parameter_id: str,
    definition: Definition | None,
    *,
    shared: bool = False,
) -> bool:
    """Take a parameter into use, or out of it (None), within the transaction that writes its resource.

    Its index is built, or removed, by a job that the same transaction leaves to the workers. Returns whether anything
    changes: the same definition again does so only where building its index has failed. Raises Conflict for a code that
    another parameter has, or too many of them.
    """
    before = find(connection, tenant_id, parameter_id, shared=shared)
    if before is None and definition is None:
        return False
    # Whoever changes parameters of this tenant waits here for the others who do.
    connection.execute(
        "INSERT INTO search_parameter_change VALUES (%s, 1, 1, true) ON CONFLICT (tenant_id) DO UPDATE SET"
        " version = search_parameter_change.version",
        [tenant_id],
    )
    before = find(connection, tenant_id, parameter_id, shared=shared)
    if definition is None:
        if before is None or before.state == "retired":
            return False
        _retire(connection, tenant_id, before)
    else:
        if before is not None and before.definition == definition and before.state in ("building", "active"):
            return False
        _refuse_others(connection, tenant_id, parameter_id, definition, shared)
        _put(connection, tenant_id, parameter_id, definition, shared, before)
    changed(connection, tenant_id, indexed=True, unfinished=True)
    return True


def _put(
    connection: psycopg.Connection,
    tenant_id: int,
    parameter_id: str,
    definition: Definition,
    shared: bool,
    before: Entry | None,
) -> None:
    types = set(definition.types)
    if before is not None:
        reindex_runs.supersede(connection, tenant_id, before.run)
        types |= set(before.definition.types)
    run = reindex_runs.start(connection, tenant_id, sorted(types), "parameter", at_once=False)
    connection.execute(
        "INSERT INTO search_parameter (tenant_id, shared, id, code, type, url, expression, types, targets, components,"
        " state, run) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 'building', %s)"
        " ON CONFLICT (tenant_id, shared, id) DO UPDATE SET code = excluded.code, type = excluded.type,"
        " url = excluded.url, expression = excluded.expression, types = excluded.types, targets = excluded.targets,"
        " components = excluded.components, state = 'building', run = excluded.run, error = ''",
        [
            tenant_id, shared, parameter_id, definition.code, definition.type, definition.url, definition.expression,
            list(definition.types), list(definition.targets), json.dumps(definition.components), run,
        ],
    )  # fmt: skip


def _retire(connection: psycopg.Connection, tenant_id: int, before: Entry) -> None:
    reindex_runs.supersede(connection, tenant_id, before.run)
    run = reindex_runs.start(connection, tenant_id, before.definition.types, "removal", at_once=False)
    connection.execute(
        "UPDATE search_parameter SET state = 'retired', run = %s, error = ''"
        " WHERE tenant_id = %s AND shared = %s AND id = %s",
        [run, tenant_id, before.shared, before.id],
    )


def _refuse_others(
    connection: psycopg.Connection, tenant_id: int, parameter_id: str, definition: Definition, shared: bool
) -> None:
    others = connection.execute(
        "SELECT id, shared, types && %s AND code = %s FROM search_parameter"
        " WHERE tenant_id = %s AND state <> 'retired' AND (id <> %s OR shared <> %s)",
        [list(definition.types), definition.code, tenant_id, parameter_id, shared],
    ).fetchall()
    for other, of_all, clashes in others:
        if clashes:
            name = "the operator of this server" if of_all else f"SearchParameter/{other}"
            raise Conflict(
                f"The code '{definition.code}' is taken by {name} for one of the same resource types; choose another.",
                expression="SearchParameter.code",
            )
    if len(others) >= MOST:
        raise Conflict(f"There are {MOST} search parameters already, which is the most; retire or delete one first.")


def settle(connection: psycopg.Connection, tenant_id: int, run: str, error: str) -> None:
    """What the end of a run means for the parameters that it was for; ``error`` is why it failed, "" where it did not.

    A retired parameter's index rows are gone by now, and so is what was known of it.
    """
    connection.execute(
        "DELETE FROM search_parameter WHERE tenant_id = %s AND run = %s AND state = 'retired' AND %s = ''",
        [tenant_id, run, error],
    )
    connection.execute(
        "UPDATE search_parameter SET state = CASE WHEN %s = '' THEN 'active' ELSE 'failed' END, error = %s"
        " WHERE tenant_id = %s AND run = %s AND state = 'building'",
        [error, error, tenant_id, run],
    )
    # A failed one is not indexed any more, so that writers must hear of it.
    changed(connection, tenant_id, indexed=bool(error), unfinished=reindex_runs.any_unfinished(connection, tenant_id))


def changed(
    connection: psycopg.Connection, tenant_id: int, *, indexed: bool = False, unfinished: bool | None = None
) -> None:
    """Let every process hear of it: ``indexed`` says that what is to be indexed is not the same any more."""
    connection.execute(
        "INSERT INTO search_parameter_change VALUES (%s, 1, 1, %s) ON CONFLICT (tenant_id) DO UPDATE SET"
        " version = search_parameter_change.version + 1, generation = search_parameter_change.generation + %s,"
        " unfinished = coalesce(%s, search_parameter_change.unfinished)",
        [tenant_id, bool(unfinished), int(indexed), unfinished],
    )


def of_run(connection: psycopg.Connection, tenant_id: int, run: str) -> list[Entry]:
    """The parameters whose index a run builds or removes."""
    return [_entry(row) for row in connection.execute(_ENTRIES + " AND p.run = %s", [tenant_id, run])]


def install(connection: psycopg.Connection, parameter_id: str, definition: Definition | None) -> None:
    """Note a shared parameter for the tenants to come, or (None) that there is none; as the owner of the tables."""
    if definition is None:
        connection.execute("DELETE FROM shared_search_parameter WHERE id = %s", [parameter_id])
        return
    connection.execute(
        "INSERT INTO shared_search_parameter VALUES (%s, %s)"
        " ON CONFLICT (id) DO UPDATE SET definition = excluded.definition",
        [parameter_id, json.dumps(asdict(definition))],
    )


def shared(connection: psycopg.Connection) -> dict[str, Definition]:
    """The shared parameters, by id."""
    rows = connection.execute("SELECT id, definition FROM shared_search_parameter ORDER BY id").fetchall()
    return {parameter_id: _from_json(found) for parameter_id, found in rows}


def _from_json(found: dict[str, object]) -> Definition:
    def texts(name: str) -> Iterable[str]:
        return found[name]  # type: ignore[return-value]

    pairs = tuple((one[0], one[1]) for one in texts("components"))
    return Definition(
        str(found["code"]), str(found["type"]), str(found["url"]), str(found["expression"]),
        tuple(texts("types")), tuple(texts("targets")), pairs,
    )  # fmt: skip


def share_with_new_tenant(connection: psycopg.Connection, tenant_id: int) -> None:
    """Give a new tenant every shared parameter, in the transaction that creates it.

    They are built like all others, though nothing is there yet: in its first seconds not every process knows of them.
    """
    found = shared(connection)
    if found:
        connection.execute("SELECT set_config('fhir.tenant', %s, true)", [str(tenant_id)])
    for parameter_id, one in found.items():
        register(connection, tenant_id, parameter_id, one, shared=True)
