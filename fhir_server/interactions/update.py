"""The update interaction, which also creates. https://hl7.org/fhir/R4/http.html#update"""

from __future__ import annotations

from fhir_server.errors import BadRequest, PreconditionFailed
from fhir_server.interactions import guard
from fhir_server.interactions.context import NO_CONDITIONS, Conditions, Context, Response
from fhir_server.interactions.write import answer, check_type, check_whole, prepare, refused


def run(
    ctx: Context, resource_type: str, resource_id: str, resource: object, conditions: Conditions = NO_CONDITIONS
) -> Response:
    """Write the next version of a resource, or its first under this id. Raises BadRequest, Invalid,
    PreconditionFailed."""
    checked = check_type(resource, resource_type)
    found = checked.get("id")
    if found != resource_id:
        came = "no id" if found is None else "another one"
        raise BadRequest(f"The body must have the id of the URL, {resource_id}; it has {came}.", expression="id")
    check_whole(checked)
    write = prepare(ctx, checked, resource_id, "PUT", expected_version(conditions))
    written = guard.put(ctx, write)
    ctx.phases.mark("sql")
    if written.status not in ("created", "updated"):
        raise refused(write, written)
    return answer(ctx, write, written)


def expected_version(conditions: Conditions) -> int | None:
    """What If-Match and If-None-Match: * want of the present state, as in store.resources.Write.expect.

    Raises PreconditionFailed for a version that this server never gives out.
    https://hl7.org/fhir/R4/http.html#concurrency
    """
    if conditions.if_none_match == "*":
        return 0
    tag = conditions.if_match
    if not tag:
        return None
    if tag == "*":
        return -1
    if not (tag.isascii() and tag.isdigit() and len(tag) < 10 and int(tag) > 0):
        raise PreconditionFailed(
            f'If-Match must name a versionId of this resource, such as W/"3"; {tag[:40]!r} is none.'
        )
    return int(tag)
