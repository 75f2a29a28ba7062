"""The vread interaction. https://hl7.org/fhir/R4/http.html#vread"""

from __future__ import annotations

from fhir_server.errors import Gone, NotFound
from fhir_server.interactions import audit_events, past
from fhir_server.interactions.context import NO_CONDITIONS, Conditions, Context, Response
from fhir_server.interactions.read import present

_LARGEST = 2**31 - 1


def run(
    ctx: Context, resource_type: str, resource_id: str, version: str, conditions: Conditions = NO_CONDITIONS
) -> Response:
    """One version of a resource. Raises NotFound, and Gone for a version that is a deletion."""
    name = f"{resource_type}/{resource_id}/_history/{version}"
    # versionIds are numbers here: anything else was never given out.
    if not (version.isascii() and version.isdigit() and len(version) <= 10 and 0 < int(version) <= _LARGEST):
        raise NotFound(f"{name} is not known.")
    if audit_events.is_trail(resource_type, resource_id) and version == "1":
        return audit_events.present(ctx, resource_id)
    stored = ctx.store.vread(ctx.access, resource_type, resource_id, int(version))
    ctx.phases.mark("sql")
    if stored is None or not past.within_reach(ctx, [stored])[0]:
        raise NotFound(f"{name} is not known.")
    if stored.deleted:
        raise Gone(f"{name} is a deletion.")
    if stored.patient is not None:
        ctx.trace.patients.add(stored.patient)
    return present(stored, conditions)
