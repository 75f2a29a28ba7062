"""An entry of a batch or transaction run as the interaction that it stands for. https://hl7.org/fhir/R4/http.html#brules"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from dataclasses import replace
from typing import Any

from fhir_server.errors import BadRequest
from fhir_server.interactions import conditional, history, search
from fhir_server.interactions import create as create_interaction
from fhir_server.interactions import delete as delete_interaction
from fhir_server.interactions import patch as patch_interaction
from fhir_server.interactions import read as read_interaction
from fhir_server.interactions import update as update_interaction
from fhir_server.interactions import vread as vread_interaction
from fhir_server.interactions.context import Context, Prefer, Response
from fhir_server.interactions.entry import Entry
from fhir_server.r4 import json
from fhir_server.r4.subset import subset
from fhir_server.search.suggest import shown

JSON_PATCH_TYPE = "application/json-patch+json"
SUMMARIES = ("true", "text", "data", "false")


def run(ctx: Context, entry: Entry) -> Response:
    """Run the entry's interaction under the decision in ``ctx.access``. Raises what the interaction raises."""
    if entry.method in ("GET", "HEAD"):
        response = _read(ctx, entry)
        if entry.method == "HEAD":
            response.body = None
        return response
    return _write(ctx, entry)


def quiet(ctx: Context) -> Context:
    """The context for the entries' writes: what they wrote comes back on request only, unlike with a single write.

    https://hl7.org/fhir/R4/http.html#transaction-response
    """
    if ctx.prefer.returning:
        return ctx
    return replace(ctx, prefer=Prefer("minimal", ctx.prefer.lenient, ctx.prefer.respond_async))


def _write(ctx: Context, entry: Entry) -> Response:
    resource_type, conditions = entry.resource_type, entry.conditions
    if entry.method == "POST":
        if conditions.if_none_exist is not None:
            return conditional.create(ctx, resource_type, entry.resource, conditions.if_none_exist)
        return create_interaction.run(ctx, resource_type, entry.resource)
    if entry.method == "PUT":
        if entry.id:
            return update_interaction.run(ctx, resource_type, entry.id, entry.resource, conditions)
        return conditional.update(ctx, resource_type, entry.query or "", entry.resource, conditions)
    if entry.method == "PATCH":
        document, kind = patch_document(entry)
        if entry.id:
            return patch_interaction.run(ctx, resource_type, entry.id, document, kind, conditions)
        return conditional.patch(ctx, resource_type, entry.query or "", document, kind, conditions)
    if entry.id:
        return delete_interaction.run(ctx, resource_type, entry.id, conditions)
    return conditional.delete(ctx, resource_type, entry.query or "", conditions)


def _read(ctx: Context, entry: Entry) -> Response:
    if entry.owner:
        compartment, _, owner_id = entry.owner.partition("/")
        return search.run_compartment(ctx, compartment, owner_id, entry.resource_type or "*", entry.pairs())
    if entry.interaction == "search-system":
        return search.run_system(ctx, entry.pairs())
    if entry.interaction == "search-type":
        return search.run(ctx, entry.resource_type, entry.pairs())
    if entry.interaction.startswith("history"):
        return history.run(ctx, entry.resource_type, entry.id, entry.pairs())
    if entry.interaction == "vread":
        response = vread_interaction.run(ctx, entry.resource_type, entry.id, entry.version, entry.conditions)
    else:
        response = read_interaction.run(ctx, entry.resource_type, entry.id, entry.conditions)
    if entry.query:
        return _part(response, entry)
    return response


def _part(response: Response, entry: Entry) -> Response:
    """https://hl7.org/fhir/R4/search.html#summary, for a read."""
    summary, elements = "", []
    for name, value in entry.pairs():
        if name == "_summary" and value in SUMMARIES:
            summary = value
        elif name == "_elements":
            elements = value.split(",")
        elif name not in ("_format", "_pretty"):
            raise BadRequest(
                f"{shown(f'{name}={value}')} means nothing for a {entry.interaction}.",
                expression=entry.at("request.url"),
            )
    if response.body is not None and (summary or elements):
        part = subset(json.parse(response.body), summary="" if elements else summary, elements=elements)
        response.body = json.dumps(part)
    return response


def patch_document(entry: Entry) -> tuple[Any, str]:
    """The patch and its kind: a Parameters is FHIRPath Patch, a Binary holds JSON Patch. https://hl7.org/fhir/R4/http.html#patch

    Raises BadRequest for anything else.
    """
    resource = entry.resource
    found = resource.get("resourceType")
    if found == "Parameters":
        return resource, "fhirpath"
    if found == "Binary" and resource.get("contentType") == JSON_PATCH_TYPE and isinstance(resource.get("data"), str):
        try:
            return json.parse(b64decode(resource["data"], validate=True)), "json"
        except (Base64Error, ValueError):
            raise BadRequest("The Binary does not hold a JSON Patch.", expression=entry.at("resource.data")) from None
    raise BadRequest(
        f"A PATCH takes a Parameters (FHIRPath Patch), or a Binary with contentType {JSON_PATCH_TYPE} and data.",
        expression=entry.at("resource"),
    )
