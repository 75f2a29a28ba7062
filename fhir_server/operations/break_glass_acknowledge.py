"""$break-glass-acknowledge: say that one has looked at an alert, or at all there are. docs/care.md"""

from __future__ import annotations

from collections.abc import Sequence

from fhir_server.errors import BadRequest, NotFound
from fhir_server.interactions.context import Context, Response
from fhir_server.interactions.named_parameters import named
from fhir_server.interactions.refusal import refusal
from fhir_server.operations.operation import Operation
from fhir_server.r4 import json
from fhir_server.store import care

_NAME = "break-glass-acknowledge"
_MOST = 1 << 62


def run(ctx: Context, scope: Sequence[str], pairs: list[tuple[str, str]], body: object) -> Response:
    """Answer Parameters with how many were acknowledged: ``alert`` is the id of one, or "all".

    Raises BadRequest, Forbidden, NotFound.
    """
    if ctx.decide(_NAME, "Patient").nothing:
        raise refusal(ctx, _NAME, "Patient")
    alert = named(f"${_NAME}", ("alert",), pairs, body).get("alert", "")
    number: int | None = None
    if alert != "all":
        if not (alert.isascii() and alert.isdigit()) or int(alert[:40]) > _MOST:
            raise BadRequest("alert is the id of an alert, or all.")
        number = int(alert)
    by = f"User/{ctx.principal.subject}"
    done = ctx.store.within(lambda c: care.acknowledge(c, ctx.tenant.id, number, by))
    ctx.phases.mark("sql")
    if number is not None and not done:
        raise NotFound(f"There is no alert {number} that nobody has acknowledged.")
    parameter = {"name": "acknowledged", "valueInteger": done}
    return Response(200, json.dumps({"resourceType": "Parameters", "parameter": [parameter]}))


OPERATION = Operation(
    _NAME, f"urn:fhir-server:operation:{_NAME}", ("system",), run, changes=True, needs=("break-glass-acknowledge",)
)
