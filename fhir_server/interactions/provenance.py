"""Who a write is made for, kept with it: the X-Provenance header. https://hl7.org/fhir/R4/provenance.html#header

The Provenance is written in the same transaction as what it is about, and points to the version that was written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fhir_server.errors import BadRequest
from fhir_server.interactions import create
from fhir_server.interactions.context import Context, Response
from fhir_server.interactions.refusal import refusal
from fhir_server.r4 import json
from fhir_server.store.store import Store

LONGEST = 8192
"""Characters of the longest header that is read."""

_TYPE = "Provenance"


def read(header: str) -> dict[str, Any]:
    """The Provenance in a header, without a target. Raises BadRequest."""
    if len(header) > LONGEST:
        raise BadRequest(f"X-Provenance may have {LONGEST:,} characters at most.", code="too-long")
    try:
        # WSGI hands headers over as Latin-1: https://peps.python.org/pep-3333/#unicode-issues
        given = json.parse(header.encode("latin-1"))
    except ValueError:
        raise BadRequest("X-Provenance must be a Provenance as JSON on one line.", code="structure") from None
    if not isinstance(given, dict) or given.get("resourceType") != _TYPE:
        raise BadRequest("X-Provenance must be a Provenance as JSON on one line.", code="structure")
    if given.get("target"):
        raise BadRequest("The Provenance in X-Provenance has no target: the server sets it.", code="structure")
    return given


def kept(ctx: Context, given: dict[str, Any], run: Callable[[Context], Response]) -> Response:
    """Run a write and create the Provenance of what it wrote: both or neither.

    Where nothing was written, as by a conditional create that found something, there is none. Raises Forbidden for
    whoever may not create it, and whatever the write raises.
    """
    access = ctx.decide("create", _TYPE)
    if access.nothing:
        raise refusal(ctx, "create", _TYPE)
    before = len(ctx.trace.written)

    def attempt(store: Store) -> Response:
        # The transaction may be run again after one that lost against another.
        del ctx.trace.written[before:]
        response = run(ctx.within(store, ctx.access))
        if len(ctx.trace.written) > before:
            resource_type, resource_id, _, version = ctx.trace.written[before]
            target = {"reference": f"{resource_type}/{resource_id}/_history/{version}"}
            create.run(ctx.within(store, access), _TYPE, given | {"target": [target]})
        return response

    return ctx.store.transaction(attempt)
