"""$reindex-status: how far the runs are that make an index anew. docs/search-parameters.md"""

from __future__ import annotations

from collections.abc import Sequence

from fhir_server.errors import BadRequest, Forbidden, NotFound
from fhir_server.interactions.context import Context, Response
from fhir_server.interactions.operation_parameters import pairs_of
from fhir_server.interactions.run_parts import run_parts
from fhir_server.operations.operation import Operation
from fhir_server.r4 import json
from fhir_server.search.suggest import shown
from fhir_server.store import reindex_runs

LATEST = 20


def run(ctx: Context, scope: Sequence[str], pairs: list[tuple[str, str]], body: object) -> Response:
    """Answer Parameters: the run ``id``, or the latest ones without it. Raises BadRequest, Forbidden, NotFound."""
    if ctx.decide("reindex", "SearchParameter").nothing:
        raise Forbidden("The access_token does not permit to see this; the scope system/SearchParameter.u would.")
    given: dict[str, str] = {}
    for name, value in pairs_of("$reindex-status", pairs, body):
        if name != "id" or name in given:
            raise BadRequest(f"$reindex-status has one parameter, id; not {shown(name)} as well.")
        given[name] = value
    tenant_id = ctx.tenant.id
    if "id" not in given:
        runs = ctx.store.within(lambda c: reindex_runs.latest(c, tenant_id, LATEST))
        parameters = [{"name": "run", "part": run_parts(one)} for one in runs]
    else:
        found = ctx.store.within(lambda c: reindex_runs.find(c, tenant_id, given["id"]))
        if found is None:
            raise NotFound(f"There is no run {shown(given['id'])}.")
        parameters = run_parts(found)
    ctx.phases.mark("sql")
    # A resource's list may not be empty: https://hl7.org/fhir/R4/json.html
    found_any = {"parameter": parameters} if parameters else {}
    return Response(200, json.dumps({"resourceType": "Parameters", **found_any}))


OPERATION = Operation(
    "reindex-status", "urn:fhir-server:operation:reindex-status", ("system",), run, needs=("reindex",)
)
