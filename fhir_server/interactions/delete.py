"""The delete interaction. https://hl7.org/fhir/R4/http.html#delete"""

from __future__ import annotations

from fhir_server.interactions import guard
from fhir_server.interactions.context import NO_CONDITIONS, Conditions, Context, Response
from fhir_server.interactions.update import expected_version
from fhir_server.interactions.write import deletion, refused


def run(ctx: Context, resource_type: str, resource_id: str, conditions: Conditions = NO_CONDITIONS) -> Response:
    """Delete a resource; its history stays. Deleting what is not there succeeds too. Raises PreconditionFailed,
    Conflict."""
    write = deletion(resource_type, resource_id, expected_version(conditions))
    written = guard.put(ctx, write)
    ctx.phases.mark("sql")
    if written.status in ("deleted", "gone"):
        return Response(204, version=written.version or None, last_updated=written.last_updated or None)
    raise refused(write, written)
