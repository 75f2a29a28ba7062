"""A Bundle posted to the base: a batch or a transaction. https://hl7.org/fhir/R4/http.html#transaction"""

from __future__ import annotations

from fhir_server.errors import BadRequest, TooLarge
from fhir_server.interactions import batch, transaction
from fhir_server.interactions.context import Context, Response

_RUN = {"batch": batch.run, "transaction": transaction.run}


def run(ctx: Context, bundle: object) -> Response:
    """Run the bundle's entries, each decided on its own. Raises BadRequest for what is neither, and what they raise."""
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise BadRequest(
            "The base takes a Bundle of type batch or transaction; to create a resource, POST it to its type.",
            code="structure",
        )
    kind = bundle.get("type")
    run_kind = _RUN.get(kind) if isinstance(kind, str) else None
    if run_kind is None:
        came = f"{kind[:40]!r}" if isinstance(kind, str) else "none"
        raise BadRequest(
            f"Bundle.type must be batch or transaction here; it is {came}.",
            code="not-supported",
            expression="Bundle.type",
        )
    entries = bundle.get("entry")
    if isinstance(entries, list) and len(entries) > ctx.limits.max_bundle_entries:
        raise TooLarge(
            f"The bundle has {len(entries)} entries; at most {ctx.limits.max_bundle_entries} are taken at once.",
            expression="Bundle.entry",
        )
    return run_kind(ctx, bundle)
