"""From a resource as the client sent it to what the store writes: validated, indexed, taken apart.
https://hl7.org/fhir/R4/http.html#create"""

from __future__ import annotations

from typing import Any

from fhir_server import validation
from fhir_server.errors import BadRequest, Conflict, FhirError, Gone, Invalid, PreconditionFailed
from fhir_server.interactions import audit_events
from fhir_server.interactions.context import Context, Response
from fhir_server.r4 import json
from fhir_server.r4.compose import compose, decompose
from fhir_server.r4.own_references import relative_to
from fhir_server.r4.subset import is_subset
from fhir_server.search.custom import definition
from fhir_server.search.index import extract
from fhir_server.store.index_rows import IndexRows
from fhir_server.store.resources import Write, Written

Resource = dict[str, Any]

_VERSIONED = ("created", "updated")


def check_type(resource: object, resource_type: str) -> Resource:
    """The resource, if it is one of this type. Raises BadRequest that says what came instead."""
    if not isinstance(resource, dict):
        raise BadRequest(f"The body must be one JSON object: a {resource_type}.", code="structure")
    found = resource.get("resourceType")
    if found != resource_type:
        came = f"a {found}" if isinstance(found, str) else "no resourceType"
        raise BadRequest(f"The URL is for {resource_type}, but the body has {came}.", expression="resourceType")
    return resource


def check_whole(resource: object) -> None:
    """Raise Invalid for a part of a resource, which as an update would erase the rest.

    https://hl7.org/fhir/R4/search.html#elements
    """
    if isinstance(resource, dict) and is_subset(resource):
        raise Invalid(
            "The resource is tagged SUBSETTED: it is a part of one, and the update would erase the rest. Read it "
            "whole, without _summary and _elements, or patch what is to change.",
            code="business-rule",
            expression=f"{resource.get('resourceType')}.meta.tag",
        )


def prepare(ctx: Context, resource: Resource, resource_id: str, method: str, expect: int | None) -> Write:
    """Validate a resource and make the Write that stores it under an id. Raises Invalid with every issue found.

    ``expect`` as in store.resources.Write. The id in the resource is not looked at.
    """
    validation.validate(resource)
    ctx.phases.mark("validate")
    resource_type = resource["resourceType"]
    if audit_events.is_trail(resource_type, resource_id):
        raise BadRequest(audit_events.RESERVED, code="business-rule")
    meta, body = decompose(resource)
    body_json = json.dumps(body)
    # Few resources name the server's own base, and only for those is a copy worth making.
    indexed = relative_to(ctx.base_url, resource) if ctx.base_url.encode() in body_json else resource
    registry = ctx.registry
    if registry.custom:
        # A parameter of the tenant's own may look at the id, which is not always the one that the client sent.
        indexed = {**indexed, "id": resource_id}
    rows = extract(indexed, ctx.store.hasher, registry, full_text=ctx.store.full_text)
    if resource_type == "Patient":
        # A patient's own compartment: its key, whatever id the resource itself carried.
        rows.patient = ctx.store.hasher.uncached(f"Patient/{resource_id}")
    write = Write(
        resource_type,
        resource_id,
        method,
        expect,
        json.dumps(meta) if meta is not None else None,
        body_json,
        rows,
        definition(resource) if resource_type == "SearchParameter" else None,
    )
    ctx.phases.mark("index")
    return write


def deletion(resource_type: str, resource_id: str, expect: int | None) -> Write:
    """The Write that deletes a resource. ``expect`` as in store.resources.Write. Raises BadRequest for what is kept."""
    if audit_events.is_trail(resource_type, resource_id):
        raise BadRequest(audit_events.RESERVED, code="business-rule")
    return Write(resource_type, resource_id, "DELETE", expect, None, None, IndexRows())


def refused(write: Write, written: Written) -> FhirError:
    """Why the store did not write, as an exception to raise."""
    name = f"{write.resource_type}/{write.id}"
    if written.status == "conflict":
        if written.version == 0:
            return PreconditionFailed(f"If-Match wants {name} to exist, and it does not.")
        if write.expect == -1:
            return PreconditionFailed(f"If-Match wants {name} to exist, and it was deleted.")
        return PreconditionFailed(
            f"If-Match names version {write.expect}, but version {written.version} of {name} is current: "
            "read it and try again."
        )
    if written.status == "exists":
        return PreconditionFailed(f"{name} exists already.")
    if written.status == "collision":
        return Conflict(f"The id {write.id} cannot be used for a {write.resource_type} here; choose another one.")
    if written.status == "gone":
        return Gone(f"{name} was deleted already.")
    raise AssertionError(written.status)


def answer(ctx: Context, write: Write, written: Written) -> Response:
    """The answer to a successful write, as the client's Prefer header wants it.
    https://hl7.org/fhir/R4/http.html#ops"""
    response = Response(
        201 if written.status == "created" else 200,
        version=written.version,
        last_updated=written.last_updated,
        location=f"{write.resource_type}/{write.id}/_history/{written.version}",
    )
    wanted = ctx.prefer.returning
    if wanted == "OperationOutcome":
        response.body = json.dumps(
            {
                "resourceType": "OperationOutcome",
                "issue": [
                    {
                        "severity": "information",
                        "code": "informational",
                        "diagnostics": f"{written.status}: {response.location}",
                    }
                ],
            }
        )
    elif wanted != "minimal" and write.body is not None:
        response.body = compose(
            write.resource_type, write.id, written.version, written.last_updated, write.meta, write.body
        )
    return response
