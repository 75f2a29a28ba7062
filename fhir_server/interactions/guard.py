"""Writing within reach: what is there must be within it, and what is written as well. docs/access.md

Where types alone decide, this costs nothing: dispatch has decided already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fhir_server.access.policy import Access
from fhir_server.errors import Conflict, NotFound
from fhir_server.interactions.context import Context
from fhir_server.interactions.refusal import refused
from fhir_server.store.resources import Write, Written

_ATTEMPTS = 10


def put(ctx: Context, write: Write) -> Written:
    """Write one version, under the decision in ``ctx.access``. Raises NotFound for what is out of reach, Forbidden."""
    whole = ctx.access.whole(write.resource_type)
    written = ctx.store.put(write) if whole else _put_within_reach(ctx, write)
    note(ctx, write, written)
    return written


def _put_within_reach(ctx: Context, write: Write) -> Written:
    if write.body is not None:
        check(ctx, ctx.access, [write])
    if write.method == "POST":
        return ctx.store.put(write)
    for _ in range(_ATTEMPTS):
        stored = ctx.store.read(ctx.access, write.resource_type, write.id)
        if stored is None or stored.deleted:
            # The same whether there is none or one out of reach; ids of one's own choice would tell them apart.
            raise NotFound(f"{write.resource_type}/{write.id} is not known.")
        # What was looked at is what is replaced.
        open_ended = write.expect is None or write.expect == -1
        written = ctx.store.put(replace(write, expect=stored.version) if open_ended else write)
        if written.status != "conflict" or not open_ended:
            return written
    raise Conflict(
        f"{write.resource_type}/{write.id} is being changed by others; try again.", headers=[("Retry-After", "1")]
    )


def check(ctx: Context, access: Access, writes: Sequence[Write]) -> None:
    """Raise Forbidden where what is to be written would be out of the writer's reach.

    Relations are those before the write: nobody becomes related to a patient by writing so.
    """
    narrowed = [write for write in writes if not access.whole(write.resource_type)]
    if not narrowed:
        return
    found = ctx.store.facts(access, [(write.resource_type, write.rows) for write in narrowed], every=True)
    minded = access.without_consents()
    for write, facts in zip(narrowed, found, strict=True):
        if not minded.allows(facts):
            raise refused(
                ctx,
                f"This {write.resource_type} would not be within what the access_token permits to write: it must be "
                "about a patient within reach, and meet what its scopes say.",
                "relationship",
            )


def note(ctx: Context, write: Write, written: Written) -> None:
    """Have the audit trail know what was written."""
    if written.status in ("created", "updated", "deleted"):
        before = 0 if written.status == "created" else written.version - 1
        ctx.trace.written.append((write.resource_type, write.id, before, written.version))
    if write.rows.patient is not None:
        ctx.trace.patients.add(write.rows.patient)
