"""The create interaction. https://hl7.org/fhir/R4/http.html#create"""

from __future__ import annotations

from uuid import UUID

from fhir_server.interactions import guard
from fhir_server.interactions.context import Context, Response
from fhir_server.interactions.write import answer, check_type, prepare, refused
from fhir_server.r4.identifiers import uuid7


def run(ctx: Context, resource_type: str, resource: object) -> Response:
    """Store a resource under a new id; an id in the body is ignored. Raises BadRequest, Invalid, Conflict."""
    checked = check_type(resource, resource_type)
    write = prepare(ctx, checked, str(new_id()), "POST", 0)
    written = guard.put(ctx, write)
    ctx.phases.mark("sql")
    if written.status != "created":
        raise refused(write, written)
    return answer(ctx, write, written)


def new_id() -> UUID:
    """The id of a new resource: a UUIDv7, so that ids made one after the other stand next to each other in indexes."""
    return uuid7()
