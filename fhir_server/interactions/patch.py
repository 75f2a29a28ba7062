"""The patch interaction: JSON Patch or FHIRPath Patch of the current version. https://hl7.org/fhir/R4/http.html#patch"""

from __future__ import annotations

from typing import Any

from fhir_server.errors import BadRequest, Conflict, Gone, NotFound, PreconditionFailed
from fhir_server.fhirpath import patch as fhirpath_patch
from fhir_server.interactions import guard
from fhir_server.interactions.context import NO_CONDITIONS, Conditions, Context, Response
from fhir_server.interactions.update import expected_version
from fhir_server.interactions.write import answer, prepare, refused
from fhir_server.r4 import json, json_patch
from fhir_server.store.resources import Stored, Write, Written
from fhir_server.store.store import Store

_ATTEMPTS = 20


def run(
    ctx: Context,
    resource_type: str,
    resource_id: str,
    document: object,
    kind: str,
    conditions: Conditions = NO_CONDITIONS,
) -> Response:
    """Apply a patch to the current version and write the result as the next one, validated as an update is.

    ``kind`` is "json" (``document`` is an array of operations) or "fhirpath" (a Parameters). Somebody else's write in
    between is no error unless If-Match was given: the patch is applied to what they wrote. It counts as an update, in
    history as well. Raises NotFound, Gone, BadRequest, Invalid, PreconditionFailed.
    """
    expect = expected_version(conditions)
    write, written = _attempt(ctx, resource_type, resource_id, document, kind, expect)
    if written.status == "conflict" and expect in (None, -1):
        write, written = _in_turn(ctx, resource_type, resource_id, document, kind, expect)
    if written.status != "updated":
        raise refused(write, written)
    return answer(ctx, write, written)


def _in_turn(
    ctx: Context, resource_type: str, resource_id: str, document: object, kind: str, expect: int | None
) -> tuple[Write, Written]:
    """Patch while no other patch of this resource runs: many at once would keep overtaking each other."""

    def work(store: Store) -> tuple[Write, Written]:
        store.lock(f"patch/{resource_type}/{resource_id}")
        inner = ctx.within(store, ctx.access)
        for _ in range(_ATTEMPTS):
            write, written = _attempt(inner, resource_type, resource_id, document, kind, expect)
            if written.status != "conflict":
                return write, written
        raise Conflict(
            f"{resource_type}/{resource_id} is being changed by others; try again.", headers=[("Retry-After", "1")]
        )

    return ctx.store.transaction(work)


def _attempt(
    ctx: Context, resource_type: str, resource_id: str, document: object, kind: str, expect: int | None
) -> tuple[Write, Written]:
    stored = ctx.store.read(ctx.access, resource_type, resource_id)
    ctx.phases.mark("sql")
    name = f"{resource_type}/{resource_id}"
    if stored is None:
        raise NotFound(f"{name} is not known.")
    if stored.deleted:
        raise Gone(f"{name} was deleted.", headers=[("ETag", f'W/"{stored.version}"')])
    if expect == 0:
        raise PreconditionFailed(f"{name} exists already.")
    if expect is not None and expect > 0 and expect != stored.version:
        raise PreconditionFailed(
            f"If-Match names version {expect}, but version {stored.version} of {name} is current: "
            "read it and try again."
        )
    # Before anything is tried: a patch can test what it does not change.
    guard.refuse_part(ctx, stored)
    patched = _patched(stored, document, kind)
    ctx.phases.mark("patch")
    write = prepare(ctx, patched, resource_id, "PUT", stored.version)
    written = guard.put(ctx, write)
    ctx.phases.mark("sql")
    return write, written


def _patched(stored: Stored, document: object, kind: str) -> dict[str, Any]:
    resource = json.parse(stored.to_bytes())
    apply = json_patch.patch_resource if kind == "json" else fhirpath_patch.patch_resource
    patched = apply(resource, document)
    for name, kept in (("resourceType", stored.resource_type), ("id", stored.id)):
        if patched.get(name) != kept:
            raise BadRequest(f"A patch cannot change {name}.", code="business-rule", expression=name)
    return patched
