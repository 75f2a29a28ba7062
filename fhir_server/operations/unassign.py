"""$unassign: end an assignment of a patient, or all those of a person, at once. docs/care.md"""

from __future__ import annotations

from collections.abc import Sequence

from fhir_server.errors import BadRequest, NotFound
from fhir_server.interactions.assigning import check_there, person_of
from fhir_server.interactions.context import Context, Response
from fhir_server.interactions.named_parameters import named
from fhir_server.interactions.refusal import refusal
from fhir_server.operations.operation import Operation
from fhir_server.r4 import json
from fhir_server.store import care

_NAME = "unassign"
_DEFINITION = "urn:fhir-server:operation:unassign"
_MOST = 1 << 62


def run(ctx: Context, scope: Sequence[str], pairs: list[tuple[str, str]], body: object) -> Response:
    """Answer Parameters with how many were ended: the one with the id ``assignment``, or all of ``person`` or ``user``.

    Raises BadRequest, Forbidden, NotFound.
    """
    if ctx.decide("assign", "Patient").nothing:
        raise refusal(ctx, "assign", "Patient")
    _, patient_id = scope
    given = named("$unassign", ("assignment", "person", "user"), pairs, body)
    check_there(ctx.store, "Patient", patient_id)
    hasher, tenant_id, by = ctx.store.hasher, ctx.tenant.id, f"User/{ctx.principal.subject}"
    if "assignment" in given:
        number = _number(given)
        if not ctx.store.within(lambda c: care.revoke(c, tenant_id, hasher, number, patient_id, by)):
            raise NotFound(f"Patient/{patient_id} has no assignment {number} that is not revoked.")
        ended = 1
    else:
        person = person_of(given)
        ended = ctx.store.within(lambda c: care.revoke_all(c, tenant_id, hasher, person, patient_id, by))
    ctx.phases.mark("sql")
    parameter = {"name": "revoked", "valueInteger": ended}
    return Response(200, json.dumps({"resourceType": "Parameters", "parameter": [parameter]}))


def _number(given: dict[str, str]) -> int:
    text = given["assignment"]
    if len(given) > 1 or not (text.isascii() and text.isdigit()) or int(text[:40]) > _MOST:
        raise BadRequest("$unassign takes the id of an assignment, or whose all are to end: person or user.")
    return int(text)


OPERATION = Operation(_NAME, _DEFINITION, ("instance",), run, {"Patient": _DEFINITION}, changes=True, needs=("assign",))
