"""$graphql: a query over one resource or over the whole system. https://hl7.org/fhir/R4/resource-operation-graphql.html

The answer is GraphQL's, in application/json: ``data`` and ``errors``. What is wrong with the HTTP request is told by an
OperationOutcome as everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from fhir_server.errors import BadRequest, Forbidden, Gone, NotFound
from fhir_server.graphql import schema
from fhir_server.graphql.document import DEFAULT_LIMITS, read
from fhir_server.graphql.execute import Execution
from fhir_server.graphql.load import Loader, Resource
from fhir_server.graphql.plan import Planner, SelectionSets
from fhir_server.graphql.problems import RequestError, request_errors
from fhir_server.graphql.values import Variables
from fhir_server.interactions.context import Context, Prefer, Response
from fhir_server.interactions.masking import masks
from fhir_server.interactions.operation_parameters import PRESENTATION
from fhir_server.operations.operation import Operation
from fhir_server.r4 import json
from fhir_server.search.suggest import shown

CONTENT_TYPE = "application/json"
_NAMES = ("query", "operationName", "variables")


@dataclass(frozen=True, slots=True)
class _Asked:
    query: str
    operation_name: str
    variables: dict[str, Any]


def run(ctx: Context, scope: Sequence[str], pairs: list[tuple[str, str]], body: object) -> Response:
    """Answer a query: 200 with its data, 400 with errors alone where it cannot be executed.

    ``body`` is GraphQL's JSON, a Parameters resource, or the text of a query (application/graphql). Raises BadRequest
    where there is no query, Forbidden, NotFound and Gone for the resource that it is asked of.
    """
    if scope:
        _permit_read(ctx, scope[0])
    asked = _asked(pairs, body)
    try:
        document = read(asked.query, asked.operation_name)
        planner = Planner(document, Variables(document.operation, asked.variables), DEFAULT_LIMITS, ctx.registry)
        sets: SelectionSets = (document.operation.selection_set,)
        planner.check(scope[0] if scope else schema.QUERY, sets)
        ctx.phases.mark("compile")
        if not scope:
            _permit_any(ctx, planner, sets)
        loader = Loader(replace(ctx, prefer=Prefer()), DEFAULT_LIMITS)
        execution = Execution(planner, loader, DEFAULT_LIMITS)
        root = _stored(ctx, loader, scope[0], scope[1]) if scope else {}
        data = execution.run(scope[0] if scope else schema.QUERY, root, sets)
    except RequestError as error:
        return Response(400, json.dumps(request_errors([error])), content_type=CONTENT_TYPE)
    ctx.phases.mark("sql")
    answer: dict[str, Any] = {"data": data}
    if execution.errors:
        answer["errors"] = [error.to_json() for error in execution.errors]
    return Response(200, json.dumps(answer), content_type=CONTENT_TYPE)


def _permit_read(ctx: Context, resource_type: str) -> None:
    if resource_type in masks(ctx):
        raise Forbidden(f"{resource_type} is shown to the caller in part, which GraphQL cannot do; read it instead.")
    if ctx.decide("read", resource_type).nothing:
        raise Forbidden(
            f"The access_token does not permit read on {resource_type}; the scope system/{resource_type}.r would."
        )


def _permit_any(ctx: Context, planner: Planner, sets: SelectionSets) -> None:
    """Where nothing of what is asked for is permitted, the request is refused as any other is."""
    wanted = {
        ("read" if plan.field.kind == "id" else "search-type", schema.searched_type(plan.field.name))
        for plan in planner.fields(schema.QUERY, sets)
        if plan.field.kind in ("id", "list", "connection")
    }
    if wanted and all(ctx.decide(interaction, name).nothing for interaction, name in wanted):
        what = ", ".join(sorted(f"{interaction} on {name}" for interaction, name in wanted)[:5])
        raise Forbidden(f"The access_token does not permit {what}.")
    if ctx.decide("read", None).nothing and ctx.decide("search-system", None).nothing:
        raise Forbidden("The access_token permits no read and no search.")


def _stored(ctx: Context, loader: Loader, resource_type: str, resource_id: str) -> Resource:
    stored = ctx.store.read(ctx.decide("read", resource_type), resource_type, resource_id)
    if stored is None:
        raise NotFound(f"{resource_type}/{resource_id} is not known.")
    if stored.deleted:
        raise Gone(f"{resource_type}/{resource_id} was deleted.")
    resource: Resource = json.parse(stored.to_bytes())
    loader.know(f"{resource_type}/{resource_id}", resource)
    return resource


def _asked(pairs: list[tuple[str, str]], body: object) -> _Asked:
    given: dict[str, Any] = {}
    for name, value in pairs:
        if name in PRESENTATION:
            continue
        if name not in _NAMES:
            raise BadRequest(f"$graphql has the parameters {', '.join(_NAMES)}, not {shown(name)}.")
        if name in given:
            raise BadRequest(f"The parameter {name} is given twice.")
        given[name] = value
    given |= _of_body(body)
    query, operation, variables = given.get("query"), given.get("operationName"), given.get("variables")
    if not isinstance(query, str) or not query.strip():
        raise BadRequest(
            'There is no query: send it as the parameter query, as JSON {"query": ...}, or as application/graphql.',
            code="required",
        )
    if isinstance(variables, str):
        try:
            variables = json.parse(variables) if variables else None
        except ValueError as error:
            raise BadRequest(f"variables is not JSON: {error}.", code="structure") from None
    if not isinstance(variables, dict | None) or not isinstance(operation, str | None):
        raise BadRequest("variables is a JSON object, and operationName a text.", code="structure")
    return _Asked(query, operation or "", variables or {})


def _of_body(body: object) -> dict[str, Any]:
    if body is None:
        return {}
    if isinstance(body, str):
        return {"query": body}
    if isinstance(body, dict) and body.get("resourceType") == "Parameters":
        parameters = body.get("parameter")
        named = [p for p in (parameters if isinstance(parameters, list) else ()) if isinstance(p, dict)]
        return {str(p["name"]): p.get("valueString") for p in named if p.get("name") == "query"}
    if not isinstance(body, dict):
        raise BadRequest("The body is a JSON object with the query.", code="structure")
    return {name: body[name] for name in _NAMES if name in body}


OPERATION = Operation(
    "graphql",
    "http://hl7.org/fhir/OperationDefinition/Resource-graphql",
    ("system", "instance"),
    run,
    needs=("read", "search-type"),
    whole=True,
)
