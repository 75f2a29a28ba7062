"""$break-glass-alerts: who broke the glass, for whom and why. docs/care.md"""

from __future__ import annotations

from collections.abc import Sequence

from fhir_server.errors import BadRequest
from fhir_server.interactions.assigning import alert_parts
from fhir_server.interactions.context import Context, Response
from fhir_server.interactions.named_parameters import named
from fhir_server.interactions.refusal import refusal
from fhir_server.operations.operation import Operation
from fhir_server.r4 import json
from fhir_server.store import care

MOST = 1_000


def run(ctx: Context, scope: Sequence[str], pairs: list[tuple[str, str]], body: object) -> Response:
    """Answer Parameters, the newest first: those that nobody has acknowledged, or with ``all`` true every one.

    Raises BadRequest, Forbidden.
    """
    if ctx.decide("alerts", "Patient").nothing:
        raise refusal(ctx, "alerts", "Patient")
    every = named("$break-glass-alerts", ("all",), pairs, body).get("all", "false")
    if every not in ("true", "false"):
        raise BadRequest("all is true or false.")
    found = ctx.store.within(lambda c: care.alerts(c, ctx.tenant.id, all_of_them=every == "true", most=MOST))
    ctx.phases.mark("sql")
    ctx.trace.patients.update(ctx.store.hasher.uncached(f"Patient/{one.patient_id}") for one in found)
    parameters = [{"name": "alert", "part": alert_parts(one)} for one in found]
    # A resource's list may not be empty: https://hl7.org/fhir/R4/json.html
    return Response(
        200, json.dumps({"resourceType": "Parameters", **({"parameter": parameters} if parameters else {})})
    )


OPERATION = Operation(
    "break-glass-alerts", "urn:fhir-server:operation:break-glass-alerts", ("system",), run, needs=("alerts",)
)
