"""$explain: how a search would run, without showing what it asks for. docs/search.md, "Costly searches" """

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fhir_server.errors import BadRequest, Forbidden
from fhir_server.interactions.context import Context, Response
from fhir_server.interactions.operation_parameters import pairs_of
from fhir_server.interactions.search import prepared
from fhir_server.interactions.search_page import joined_access
from fhir_server.operations.operation import Operation
from fhir_server.r4 import json
from fhir_server.search import compile as compiler
from fhir_server.search import plan as plans
from fhir_server.search import roads
from fhir_server.search.advice import advice, guarded
from fhir_server.search.branch import Branch
from fhir_server.search.compile import CompiledSearch
from fhir_server.search.parse import parse
from fhir_server.search.query import SearchQuery
from fhir_server.search.suggest import shown

Parameter = dict[str, Any]
"""An entry of Parameters.parameter. https://hl7.org/fhir/R4/parameters.html"""


def run(ctx: Context, scope: Sequence[str], pairs: list[tuple[str, str]], body: object) -> Response:
    """Answer a Parameters resource: each statement of a search on one type with its plan, and advice.

    The parameters are those of the search, and ``analyze``: with true the statements are run and measured, under the
    limit of time that a search has. Raises Forbidden for whoever may not do everything, BadRequest, Unavailable.
    """
    if not ctx.decide("explain", None).everything:
        raise Forbidden("The access_token does not permit $explain; the scope system/*.cruds would.")
    resource_type = scope[0]
    given = pairs_of("$explain", pairs, body)
    analyze = _analyze([value for name, value in given if name == "analyze"])
    searched = [(name, value) for name, value in given if name != "analyze"]
    inner = ctx.within(ctx.store, ctx.decide("search-type", resource_type))
    query = prepared(
        inner,
        parse(resource_type, searched, lenient=ctx.prefer.lenient, limits=ctx.limits.search, registry=inner.registry),
    )
    statements = list(_statements(inner, query))
    ctx.phases.mark("compile")
    parameters: list[Parameter] = [{"name": "timeoutMilliseconds", "valueInteger": ctx.store.search_timeout_ms}]
    for name, road, statement in statements:
        parameters.append({"name": "statement", "part": _explained(inner, query, name, road, statement, analyze)})
    ctx.phases.mark("sql")
    if query.includes:
        note = "What is included is looked up from the resources of a page, by one more statement for each step."
        parameters.append({"name": "note", "valueString": note})
    parameters += ({"name": "advice", "valueString": sentence} for sentence in advice(query))
    return Response(200, json.dumps({"resourceType": "Parameters", "parameter": parameters}))


def _analyze(values: list[str]) -> bool:
    if len(values) > 1 or (values and values[0] not in ("true", "false")):
        raise BadRequest(f"analyze is either true or false, once; not {shown(', '.join(values))}.")
    return values == ["true"]


def _statements(ctx: Context, query: SearchQuery) -> Iterator[tuple[str, str, CompiledSearch]]:
    """The statements that a first page may take, each with its name and the road to its rows."""
    store, joined = ctx.store, joined_access(ctx)
    access = store.in_force(ctx.access)
    frame = compiler.passed(compiler.PASSES, query, access, store.tenant_id, store.hasher, joined)
    road = ", ".join(_road(branch) for branch in frame.branches)
    counted = query.summary == "count" or query.count == 0
    if not counted:
        # The second is run where the first does not fill the page: the resources without a value to sort by.
        names = ("page", "page without sort value")
        found = compiler.compile(query, access, store.tenant_id, store.hasher, None, joined)
        yield from ((name, road, statement) for name, statement in zip(names, found, strict=False))
    if counted or query.total == "accurate":
        total = compiler.compile_total(query, access, store.tenant_id, store.hasher, joined=joined)
        if total.sql:
            yield "total", "", total


def _road(branch: Branch) -> str:
    """The word that docs/search.md, "How a search runs", has for the road taken."""
    if branch.narrow:
        return "narrow"
    if roads.counted(branch):
        return "few, or walk"
    return "equal" if branch.equal and not branch.sources else "walk"


def _explained(
    ctx: Context, query: SearchQuery, name: str, road: str, statement: CompiledSearch, analyze: bool
) -> list[Parameter]:
    options = "ANALYZE, BUFFERS, FORMAT JSON" if analyze else "FORMAT JSON"
    with guarded(query, ctx.store.search_timeout_ms):
        result = ctx.store.search(f"EXPLAIN ({options}) {statement.sql}", statement.values)
    plan = plans.plan(json.parse(result.get_value(0, 0) or b"[]"))
    parts: list[Parameter] = [{"name": "name", "valueString": name}]
    if road:
        parts.append({"name": "road", "valueString": road})
    parts += [
        {"name": "sql", "valueString": statement.sql},
        {"name": "expectedRows", "valueDecimal": plan.rows},
        {"name": "cost", "valueDecimal": plan.cost},
        *({"name": "index", "valueString": index} for index in plan.indexes),
        *({"name": "readFromEndToEnd", "valueString": table} for table in plan.tables),
        {"name": "plan", "valueString": json.dumps(plan.tree).decode()},
    ]
    return parts


OPERATION = Operation("explain", "urn:fhir-server:operation:explain", ("type",), run, needs=("explain",))
