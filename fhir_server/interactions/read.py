"""The read interaction. https://hl7.org/fhir/R4/http.html#read"""

from __future__ import annotations

from fhir_server.errors import Gone, NotFound
from fhir_server.interactions import audit_events
from fhir_server.interactions.context import NO_CONDITIONS, Conditions, Context, Response
from fhir_server.store.resources import Stored


def run(ctx: Context, resource_type: str, resource_id: str, conditions: Conditions = NO_CONDITIONS) -> Response:
    """The current version, or 304 where the client has it already. Raises NotFound, Gone."""
    if audit_events.is_trail(resource_type, resource_id):
        return audit_events.present(ctx, resource_id)
    stored = ctx.store.read(ctx.access, resource_type, resource_id)
    ctx.phases.mark("sql")
    if stored is None:
        raise NotFound(f"{resource_type}/{resource_id} is not known.")
    if stored.deleted:
        raise Gone(f"{resource_type}/{resource_id} was deleted.", headers=[("ETag", f'W/"{stored.version}"')])
    if stored.patient is not None:
        ctx.trace.patients.add(stored.patient)
    return present(stored, conditions)


def present(stored: Stored, conditions: Conditions) -> Response:
    """A version as the answer to a read, conditional or not. https://hl7.org/fhir/R4/http.html#cread"""
    status, body = 200, None
    if _unchanged(stored, conditions):
        status = 304
    else:
        body = stored.to_bytes()
    return Response(status, body, stored.version, stored.last_updated)


def _unchanged(stored: Stored, conditions: Conditions) -> bool:
    # If-None-Match wins over If-Modified-Since: https://www.rfc-editor.org/rfc/rfc9110#name-precedence-of-preconditions
    if conditions.if_none_match:
        return conditions.if_none_match in ("*", str(stored.version))
    since = conditions.if_modified_since
    return since is not None and stored.last_updated // 1_000_000 <= since
