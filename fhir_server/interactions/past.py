"""Past versions within reach: each is decided by what it says itself, as well as by what its resource is now.

A label that was taken away, or a patient that was named by mistake, stands in the versions before.
https://hl7.org/fhir/R4/http.html#history
"""

from __future__ import annotations

from collections.abc import Sequence

from fhir_server.access.policy import Access
from fhir_server.interactions.context import Context
from fhir_server.r4 import json
from fhir_server.r4.own_references import relative_to
from fhir_server.search.index import extract
from fhir_server.store.index_rows import IndexRows
from fhir_server.store.resources import Stored

_DIGITS = 9
"""No version has as many as ten."""


def within_reach(ctx: Context, versions: Sequence[Stored]) -> list[bool]:
    """Which of these versions the caller may see, of resources that are within reach as they are now.

    Where they were read, the store has noted whether there are consents.
    """
    access = ctx.store.in_force(ctx.access)
    seen = [access.whole(one.resource_type) or one.deleted for one in versions]
    asked = [(n, one) for n, one in enumerate(versions) if not seen[n]]
    if asked:
        rows = [(one.resource_type, rows_of(ctx, one)) for _, one in asked]
        keys = [ctx.store.hasher.uncached(f"{one.resource_type}/{one.id}") for _, one in asked]
        found = ctx.store.facts(ctx.access, rows, every=False, keys=keys)
        for (n, _), facts in zip(asked, found, strict=True):
            seen[n] = ctx.access.allows(facts)
    return seen


def seen(ctx: Context, access: Access, resource_type: str, resource_id: str, version: str = "") -> Stored | None:
    """A resource, or a version of it, as an access shows it; None for what it does not, and for what was deleted."""
    if access.nothing or not resource_id:
        return None
    inner = ctx.within(ctx.store, access)
    if not version:
        found = ctx.store.read(access, resource_type, resource_id)
    elif version.isascii() and version.isdigit() and len(version) <= _DIGITS:
        found = ctx.store.vread(access, resource_type, resource_id, int(version))
        found = found if found is not None and within_reach(inner, [found])[0] else None
    else:
        found = None
    return None if found is None or found.deleted else found


def rows_of(ctx: Context, stored: Stored) -> IndexRows:
    """What the index would have of a version."""
    resource = relative_to(ctx.base_url, json.parse(stored.to_bytes()))
    rows = extract(resource, ctx.store.hasher, full_text=False)
    if stored.resource_type == "Patient":
        rows.patient = ctx.store.hasher.uncached(f"Patient/{stored.id}")
    return rows
