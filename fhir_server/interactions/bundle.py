"""A Bundle posted to the base: a batch or a transaction. https://hl7.org/fhir/R4/http.html#transaction"""

from __future__ import annotations

from fhir_server.errors import BadRequest, TooLarge
from fhir_server.interactions import batch, transaction
from fhir_server.interactions.context import Context, Response

_RUN = {"batch": batch.run, "transaction": transaction.run}


def run(ctx: Context, bundle: object) -> Response:
    """Run the bundle's entries, each decided on its own.

    Raises BadRequest for what is no batch and no transaction, TooLarge for too many entries, and what either raises.
    """
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise BadRequest(
            "The base takes a Bundle of type batch or transaction; to create a resource, POST it to its type.",
            code="structure",
        )
    kind = bundle.get("type")
    run_kind = _RUN.get(kind) if isinstance(kind, str) else None
    if run_kind is None:
        came = f"{kind[:40]!r}" if isinstance(kind, str) else "missing"
        raise BadRequest(
            f"Bundle.type must be batch or transaction here; it is {came}.",
            code="not-supported",
            expression="Bundle.type",
        )
    entries = bundle.get("entry")
    count = len(entries) if isinstance(entries, list) else 0
    if count > ctx.limits.max_bundle_entries:
        raise TooLarge(
            f"The bundle has {count} entries; at most {ctx.limits.max_bundle_entries} are possible at once.",
            expression="Bundle.entry",
        )
    return run_kind(ctx, bundle)
