"""$assign: say that a person cares for a patient, or represents one in a matter. docs/care.md"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fhir_server.interactions.assigning import assignment_of, assignment_parts, check_there
from fhir_server.interactions.context import Context, Response
from fhir_server.interactions.named_parameters import named
from fhir_server.interactions.refusal import refusal
from fhir_server.operations.operation import Operation
from fhir_server.r4 import json
from fhir_server.store import care
from fhir_server.store.reading import now

_NAME = "assign"
_DEFINITION = "urn:fhir-server:operation:assign"
_PARAMETERS = ("person", "user", "kind", "matter", "from", "until", "reason")


def run(ctx: Context, scope: Sequence[str], pairs: list[tuple[str, str]], body: object) -> Response:
    """Answer Parameters that tell the assignment with its id. Raises BadRequest, Forbidden, NotFound."""
    if ctx.decide("assign", "Patient").nothing:
        raise refusal(ctx, "assign", "Patient")
    _, patient_id = scope
    given = assignment_of(patient_id, named("$assign", _PARAMETERS, pairs, body), f"User/{ctx.principal.subject}")
    check_there(ctx.store, "Patient", patient_id)
    resource_type, _, resource_id = given.person.partition("/")
    if resource_type != "User":
        check_there(ctx.store, resource_type, resource_id)
    number = ctx.store.within(lambda c: care.assign(c, ctx.tenant.id, ctx.store.hasher, given))
    ctx.phases.mark("sql")
    made = replace(given, id=number, created=now())
    return Response(200, json.dumps({"resourceType": "Parameters", "parameter": assignment_parts(made)}))


OPERATION = Operation(_NAME, _DEFINITION, ("instance",), run, {"Patient": _DEFINITION}, changes=True, needs=("assign",))
