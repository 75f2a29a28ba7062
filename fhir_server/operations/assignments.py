"""$assignments: who has been assigned to a patient, by whom and why. docs/care.md"""

from __future__ import annotations

from collections.abc import Sequence

from fhir_server.interactions.assigning import assignment_parts, check_there
from fhir_server.interactions.context import Context, Response
from fhir_server.interactions.named_parameters import named
from fhir_server.interactions.refusal import refusal
from fhir_server.operations.operation import Operation
from fhir_server.r4 import json
from fhir_server.store import care

_NAME = "assignments"
_DEFINITION = "urn:fhir-server:operation:assignments"


def run(ctx: Context, scope: Sequence[str], pairs: list[tuple[str, str]], body: object) -> Response:
    """Answer Parameters, the newest first, with those that were revoked. Raises BadRequest, Forbidden, NotFound."""
    if ctx.decide("assign", "Patient").nothing:
        raise refusal(ctx, "assign", "Patient")
    _, patient_id = scope
    named("$assignments", (), pairs, body)
    check_there(ctx.store, "Patient", patient_id)
    hasher = ctx.store.hasher
    found = ctx.store.within(lambda c: care.assignments(c, ctx.tenant.id, hasher, patient_id=patient_id))
    ctx.phases.mark("sql")
    parameters = [{"name": "assignment", "part": assignment_parts(one)} for one in found]
    # A resource's list may not be empty: https://hl7.org/fhir/R4/json.html
    return Response(
        200, json.dumps({"resourceType": "Parameters", **({"parameter": parameters} if parameters else {})})
    )


OPERATION = Operation(_NAME, _DEFINITION, ("instance",), run, {"Patient": _DEFINITION}, needs=("assign",))
