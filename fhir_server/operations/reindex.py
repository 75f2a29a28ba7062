"""$reindex: make the search index of a type, or of one resource, anew from what is stored. docs/search-parameters.md"""

from __future__ import annotations

from collections.abc import Sequence

from fhir_server.bulk.reindexing import addresses, reindex_one, relative_to_all
from fhir_server.errors import BadRequest, Forbidden, Gone, NotFound
from fhir_server.interactions.context import Context, Response
from fhir_server.interactions.operation_parameters import pairs_of
from fhir_server.operations.operation import Operation
from fhir_server.r4 import definitions, json
from fhir_server.search.suggest import nearest, shown
from fhir_server.store import reindex_runs
from fhir_server.store.reindexing import as_row

ATTEMPTS = 5


def run(ctx: Context, scope: Sequence[str], pairs: list[tuple[str, str]], body: object) -> Response:
    """Reindex one resource at once (200), or a type in the background (202 with the URL of its status).

    At the level of the system, ``type`` names the types, with commas. Raises BadRequest, Forbidden, NotFound, Gone.
    """
    _permit(ctx, scope[0] if scope else None)
    types = _types(scope, pairs_of("$reindex", pairs, body))
    for resource_type in types:
        _permit(ctx, resource_type)
    if len(scope) == 2:
        _one(ctx, scope[0], scope[1])
        return Response(200, _outcome(f"{scope[0]}/{scope[1]} is indexed anew."))
    run_id = ctx.store.within(lambda c: reindex_runs.request(c, ctx.tenant.id, types))
    ctx.phases.mark("sql")
    url = f"{ctx.base_url}/$reindex-status?id={run_id}"
    text = f"{', '.join(types)}: the index is made anew in the background; {url} tells how far it is."
    return Response(202, _outcome(text), headers=[("Content-Location", url)])


def _permit(ctx: Context, resource_type: str | None) -> None:
    if ctx.decide("reindex", "SearchParameter").nothing:
        raise Forbidden("The access_token does not permit to reindex; the scope system/SearchParameter.u would.")
    if resource_type is not None and ctx.decide("read", resource_type).nothing:
        raise Forbidden(f"The access_token does not permit read on {resource_type}, which reindexing it needs as well.")


def _types(scope: Sequence[str], given: list[tuple[str, str]]) -> list[str]:
    known = definitions.load().type_ids
    found: set[str] = set()
    for name, value in given:
        if name != "type":
            raise BadRequest(f"$reindex has the parameter type, not {shown(name)}.")
        for one in value.split(","):
            if one not in known:
                hint = nearest(one, known)
                near = f"; did you mean {' or '.join(hint)}?" if hint else "."
                raise BadRequest(f"type: {shown(one)} is no resource type of FHIR R4{near}")
            found.add(one)
    if scope and found - {scope[0]}:
        raise BadRequest(f"The URL is for {scope[0]}; reindex other types at the level of the system.")
    found.update(scope[:1])
    if not found:
        raise BadRequest("$reindex wants to know which types: [base]/$reindex?type=Observation,Condition.")
    return sorted(found)


def _one(ctx: Context, resource_type: str, resource_id: str) -> None:
    access = ctx.decide("read", resource_type)
    relative = relative_to_all(addresses(ctx.base_url, ctx.tenant.slug))
    for _ in range(ATTEMPTS):
        stored = ctx.store.read(access, resource_type, resource_id)
        if stored is None:
            raise NotFound(f"{resource_type}/{resource_id} is not known.")
        if stored.deleted:
            raise Gone(f"{resource_type}/{resource_id} was deleted.")
        if reindex_one(ctx.store, as_row(stored), relative) == "reindexed":
            break
        # Somebody has written another version meanwhile, and indexed it; once more, to be sure of it.
    ctx.phases.mark("sql")


def _outcome(text: str) -> bytes:
    issue = {"severity": "information", "code": "informational", "diagnostics": text}
    return json.dumps({"resourceType": "OperationOutcome", "issue": [issue]})


OPERATION = Operation(
    "reindex",
    "urn:fhir-server:operation:reindex",
    ("system", "type", "instance"),
    run,
    changes=True,
    needs=("reindex",),
)
