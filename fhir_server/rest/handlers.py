"""From a matched URL to its interaction: bodies, parameters and conditions taken off the wire.
https://hl7.org/fhir/R4/http.html"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fhir_server.dispatch import perform
from fhir_server.errors import BadRequest, MethodNotAllowed, UnsupportedMediaType
from fhir_server.interactions import bundle as bundles
from fhir_server.interactions import conditional, counting, history, provenance, search
from fhir_server.interactions import create as create_interaction
from fhir_server.interactions import delete as delete_interaction
from fhir_server.interactions import patch as patch_interaction
from fhir_server.interactions import read as read_interaction
from fhir_server.interactions import update as update_interaction
from fhir_server.interactions import vread as vread_interaction
from fhir_server.interactions.context import Context, Response
from fhir_server.operations import registry as operations
from fhir_server.rest import capability
from fhir_server.rest.request import FORM_TYPE, GRAPHQL_TYPE, JSON_PATCH_TYPE, JSON_TYPES, Request
from fhir_server.store.searching import ConsentsFound

Segments = Sequence[str]

PRESENTATION = frozenset(("_format", "_pretty", "_summary", "_elements"))
"""Parameters that any GET takes: rest/negotiate.py honours them. https://hl7.org/fhir/R4/http.html#parameters"""


def capabilities(ctx: Context, request: Request, segments: Segments) -> Response:
    """GET [base]/metadata. https://hl7.org/fhir/R4/http.html#capabilities"""
    return capability.run(ctx)


def read(ctx: Context, request: Request, segments: Segments) -> Response:
    """GET [base]/[type]/[id]"""
    resource_type, resource_id = segments
    _only_presentation(request)
    conditions = request.conditions()
    return perform(
        ctx, "read", resource_type, lambda c: read_interaction.run(c, resource_type, resource_id, conditions)
    )


def vread(ctx: Context, request: Request, segments: Segments) -> Response:
    """GET [base]/[type]/[id]/_history/[vid]"""
    resource_type, resource_id, _, version = segments
    _only_presentation(request)
    conditions = request.conditions()
    return perform(
        ctx, "vread", resource_type, lambda c: vread_interaction.run(c, resource_type, resource_id, version, conditions)
    )


def create(ctx: Context, request: Request, segments: Segments) -> Response:
    """POST [base]/[type], conditional with If-None-Exist"""
    (resource_type,) = segments
    _only_presentation(request, "a conditional create sends its criteria in the header If-None-Exist")
    if request.content_type == FORM_TYPE:
        raise UnsupportedMediaType(
            f"A create takes application/fhir+json; a search by POST goes to {resource_type}/_search."
        )
    none_exist = request.conditions().if_none_exist
    resource = request.json()
    ctx.phases.mark("parse")

    def run(c: Context) -> Response:
        if none_exist is not None:
            return conditional.create(c, resource_type, resource, none_exist)
        return create_interaction.run(c, resource_type, resource)

    return _write(ctx, request, "create", resource_type, run)


def _write(
    ctx: Context, request: Request, interaction: str, resource_type: str, run: Callable[[Context], Response]
) -> Response:
    """A write of one resource, with the Provenance that came with it. https://hl7.org/fhir/R4/provenance.html#header"""
    header = request.header("X_PROVENANCE")
    if not header:
        return perform(ctx, interaction, resource_type, run)
    given = provenance.read(header)
    return perform(ctx, interaction, resource_type, lambda c: provenance.kept(c, given, run))


def update(ctx: Context, request: Request, segments: Segments) -> Response:
    """PUT [base]/[type]/[id]"""
    resource_type, resource_id = segments
    _only_presentation(request)
    conditions = request.conditions()
    resource = request.json()
    ctx.phases.mark("parse")
    return _write(
        ctx,
        request,
        "update",
        resource_type,
        lambda c: update_interaction.run(c, resource_type, resource_id, resource, conditions),
    )


def conditional_update(ctx: Context, request: Request, segments: Segments) -> Response:
    """PUT [base]/[type]?[criteria]"""
    (resource_type,) = segments
    conditions = request.conditions()
    resource = request.json()
    ctx.phases.mark("parse")
    return _write(
        ctx,
        request,
        "update",
        resource_type,
        lambda c: conditional.update(c, resource_type, request.query_string, resource, conditions),
    )


def patch(ctx: Context, request: Request, segments: Segments) -> Response:
    """PATCH [base]/[type]/[id]"""
    resource_type, resource_id = segments
    _only_presentation(request)
    kind, conditions = _patch_kind(request), request.conditions()
    document = request.json()
    ctx.phases.mark("parse")
    return _write(
        ctx,
        request,
        "patch",
        resource_type,
        lambda c: patch_interaction.run(c, resource_type, resource_id, document, kind, conditions),
    )


def conditional_patch(ctx: Context, request: Request, segments: Segments) -> Response:
    """PATCH [base]/[type]?[criteria]"""
    (resource_type,) = segments
    kind, conditions = _patch_kind(request), request.conditions()
    document = request.json()
    ctx.phases.mark("parse")
    return _write(
        ctx,
        request,
        "patch",
        resource_type,
        lambda c: conditional.patch(c, resource_type, request.query_string, document, kind, conditions),
    )


def _patch_kind(request: Request) -> str:
    kind = request.content_type
    if kind == JSON_PATCH_TYPE:
        return "json"
    if kind in JSON_TYPES:
        return "fhirpath"
    raise UnsupportedMediaType(
        f"PATCH takes {JSON_PATCH_TYPE} (JSON Patch) or application/fhir+json (FHIRPath Patch), not {kind[:80]!r}."
    )


def delete(ctx: Context, request: Request, segments: Segments) -> Response:
    """DELETE [base]/[type]/[id]"""
    resource_type, resource_id = segments
    _only_presentation(request)
    conditions = request.conditions()
    return perform(
        ctx, "delete", resource_type, lambda c: delete_interaction.run(c, resource_type, resource_id, conditions)
    )


def conditional_delete(ctx: Context, request: Request, segments: Segments) -> Response:
    """DELETE [base]/[type]?[criteria]"""
    (resource_type,) = segments
    return perform(ctx, "delete", resource_type, lambda c: conditional.delete(c, resource_type, request.query_string))


def search_type(ctx: Context, request: Request, segments: Segments) -> Response:
    """GET [base]/[type]?[parameters]"""
    pairs = request.query()
    ctx.phases.mark("parse")
    return _search(ctx, segments[0], pairs)


def search_type_by_post(ctx: Context, request: Request, segments: Segments) -> Response:
    """POST [base]/[type]/_search: the form's parameters and the URL's together"""
    pairs = request.form() + request.query()
    ctx.phases.mark("parse")
    return _search(ctx, segments[0], pairs)


def _search(ctx: Context, resource_type: str, pairs: Sequence[tuple[str, str]]) -> Response:
    if counting.wanted(ctx, resource_type, pairs):
        return perform(ctx, "count", resource_type, lambda c: counting.run(c, resource_type, pairs))
    return perform(ctx, "search-type", resource_type, lambda c: search.run(c, resource_type, pairs))


def search_system(ctx: Context, request: Request, segments: Segments) -> Response:
    """GET [base]?[parameters]"""
    pairs = request.query()
    ctx.phases.mark("parse")
    return perform(ctx, "search-system", None, lambda c: search.run_system(c, pairs))


def search_system_by_post(ctx: Context, request: Request, segments: Segments) -> Response:
    """POST [base]/_search: the form's parameters and the URL's together"""
    pairs = request.form() + request.query()
    ctx.phases.mark("parse")
    return perform(ctx, "search-system", None, lambda c: search.run_system(c, pairs))


def search_compartment(ctx: Context, request: Request, segments: Segments) -> Response:
    """GET [base]/[compartment]/[id]/[type]?[parameters], and /* for all types"""
    return _search_compartment(ctx, segments, request.query())


def search_compartment_by_post(ctx: Context, request: Request, segments: Segments) -> Response:
    """POST [base]/[compartment]/[id]/[type]/_search"""
    return _search_compartment(ctx, segments, request.form() + request.query())


def _search_compartment(ctx: Context, segments: Segments, pairs: list[tuple[str, str]]) -> Response:
    compartment, owner_id, resource_type = segments[:3]
    ctx.phases.mark("parse")
    interaction, on = ("search-system", None) if resource_type == "*" else ("search-type", resource_type)
    return perform(
        ctx, interaction, on, lambda c: search.run_compartment(c, compartment, owner_id, resource_type, pairs)
    )


def history_instance(ctx: Context, request: Request, segments: Segments) -> Response:
    """GET [base]/[type]/[id]/_history"""
    return _history(ctx, request, "history-instance", segments[0], segments[1])


def history_type(ctx: Context, request: Request, segments: Segments) -> Response:
    """GET [base]/[type]/_history"""
    return _history(ctx, request, "history-type", segments[0], "")


def history_system(ctx: Context, request: Request, segments: Segments) -> Response:
    """GET [base]/_history"""
    return _history(ctx, request, "history-system", "", "")


def _history(ctx: Context, request: Request, interaction: str, resource_type: str, resource_id: str) -> Response:
    pairs = request.query()
    ctx.phases.mark("parse")
    return perform(ctx, interaction, resource_type or None, lambda c: history.run(c, resource_type, resource_id, pairs))


def bundle(ctx: Context, request: Request, segments: Segments) -> Response:
    """POST [base]: a batch or a transaction, whose entries are each decided on their own"""
    _only_presentation(request)
    document = request.json()
    ctx.phases.mark("parse")
    return bundles.run(ctx, document)


def operation(ctx: Context, request: Request, segments: Segments) -> Response:
    """[base]/$name, [base]/[type]/$name and [base]/[type]/[id]/$name"""
    *scope, name = segments
    found = operations.find(name[1:], scope)
    if found.changes and request.method != "POST":
        raise MethodNotAllowed(f"${found.name} changes something, so it takes POST.", headers=[("Allow", "POST")])
    body = None
    if request.method == "POST":
        plain = found.name == "graphql" and request.content_type == GRAPHQL_TYPE
        body = request.text() if plain else request.json(optional=True)
    ctx.phases.mark("parse")
    try:
        return found.run(ctx, scope, request.query(), body)
    except ConsentsFound:
        return found.run(ctx, scope, request.query(), body)


def _only_presentation(request: Request, hint: str = "") -> None:
    """Refuse parameters that would be passed over: whoever sent them would think that they had been heeded."""
    if not request.query_string:
        return
    for name, _ in request.query():
        if name not in PRESENTATION:
            known = f"only {', '.join(sorted(PRESENTATION))} do"
            raise BadRequest(f"The parameter {name[:64]!r} means nothing here; {hint or known}.")


Handler = Callable[[Context, Request, Segments], Response]
