"""$break-glass: see a patient who is not one's own, for an hour and a reason that others will read. docs/care.md"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from prometheus_client import Counter

from fhir_server.interactions.assigning import LONGEST, alert_parts, check_there
from fhir_server.interactions.context import Context, Response
from fhir_server.interactions.named_parameters import named, required
from fhir_server.interactions.refusal import refusal
from fhir_server.operations.operation import Operation
from fhir_server.r4 import instants, json
from fhir_server.store import care
from fhir_server.store.care import Broken
from fhir_server.store.reading import now

log = logging.getLogger(__name__)

LASTS = 60 * instants.MINUTE
SHORTEST_REASON = 10

_NAME = "break-glass"
_DEFINITION = "urn:fhir-server:operation:break-glass"
_broken = Counter("fhir_break_glass", "How often somebody looked at a patient who was not theirs.")


def run(ctx: Context, scope: Sequence[str], pairs: list[tuple[str, str]], body: object) -> Response:
    """Answer Parameters that tell until when, and the id of the alert. Raises BadRequest, Forbidden, NotFound."""
    if ctx.decide("break-glass", "Patient").nothing:
        raise refusal(ctx, "break-glass", "Patient")
    _, patient_id = scope
    given = named("$break-glass", ("reason",), pairs, body)
    reason = required("$break-glass", given, "reason", SHORTEST_REASON, LONGEST)
    check_there(ctx.store, "Patient", patient_id)
    at = now()
    broken = Broken(f"User/{ctx.principal.subject}", patient_id, reason, at, at + LASTS)
    number = ctx.store.within(lambda c: care.break_glass(c, ctx.tenant.id, ctx.store.hasher, broken))
    ctx.phases.mark("sql")
    ctx.trace.kind = _NAME
    ctx.trace.reason = reason
    ctx.trace.patients.add(ctx.store.hasher.uncached(f"Patient/{patient_id}"))
    _broken.inc()
    log.warning("the glass was broken", extra={"tenant": ctx.tenant.slug, "alert": number})
    made = Broken(broken.subject, patient_id, reason, broken.at, broken.until, number)
    return Response(200, json.dumps({"resourceType": "Parameters", "parameter": alert_parts(made)}))


OPERATION = Operation(
    _NAME, _DEFINITION, ("instance",), run, {"Patient": _DEFINITION}, changes=True, needs=("break-glass",)
)
