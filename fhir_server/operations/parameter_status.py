"""$status of a SearchParameter: whether searches may use it, and how far its index is. docs/search-parameters.md"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fhir_server.errors import BadRequest, Forbidden, NotFound
from fhir_server.interactions.context import Context, Response
from fhir_server.interactions.operation_parameters import pairs_of
from fhir_server.interactions.run_parts import run_parts
from fhir_server.operations.operation import Operation
from fhir_server.r4 import json
from fhir_server.search.suggest import shown
from fhir_server.store import reindex_runs, search_parameters

UNUSED = "unused"
"""The state of one that is stored but not in use: its status is not active, or it is a standard one."""


def run(ctx: Context, scope: Sequence[str], pairs: list[tuple[str, str]], body: object) -> Response:
    """Answer Parameters: ``state`` is building, active, failed, retired or unused. Raises Forbidden, NotFound."""
    access = ctx.decide("read", "SearchParameter")
    if access.nothing:
        raise Forbidden("The access_token does not permit read on SearchParameter.")
    for name, _ in pairs_of("$status", pairs, body):
        raise BadRequest(f"$status has no parameters; {shown(name)} means nothing here.")
    _, parameter_id = scope
    tenant_id = ctx.tenant.id
    entry = ctx.store.within(lambda c: search_parameters.find(c, tenant_id, parameter_id))
    parameters: list[dict[str, Any]]
    if entry is None:
        stored = ctx.store.read(access, "SearchParameter", parameter_id)
        if stored is None or stored.deleted:
            raise NotFound(f"SearchParameter/{parameter_id[:64]} is not known.")
        parameters = [{"name": "state", "valueCode": UNUSED}]
    else:
        parameters = [{"name": "state", "valueCode": entry.state}]
        if entry.error:
            parameters.append({"name": "error", "valueString": entry.error})
        build = ctx.store.within(lambda c: reindex_runs.find(c, tenant_id, entry.run))
        if build is not None:
            parameters.append({"name": "run", "part": run_parts(build)})
    ctx.phases.mark("sql")
    return Response(200, json.dumps({"resourceType": "Parameters", "parameter": parameters}))


_DEFINITION = "urn:fhir-server:operation:search-parameter-status"
OPERATION = Operation("status", _DEFINITION, ("instance",), run, {"SearchParameter": _DEFINITION}, needs=("read",))
