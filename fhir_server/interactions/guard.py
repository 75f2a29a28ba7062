"""Writing within reach: what is there must be within it, and what is written as well. docs/access.md

Where types alone decide, this costs nothing: dispatch has decided already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fhir_server.access.policy import Access
from fhir_server.errors import Conflict, NotFound
from fhir_server.interactions import masking
from fhir_server.interactions.context import Context
from fhir_server.interactions.refusal import refused
from fhir_server.store.resources import Stored, Write, Written

_ATTEMPTS = 10


def put(ctx: Context, write: Write) -> Written:
    """Write one version, under the decision in ``ctx.access``. Raises NotFound for what is out of reach, Forbidden."""
    access = in_force(ctx, ctx.access, write.resource_type)
    if by_type_alone(ctx, access, write.resource_type):
        written = ctx.store.put(write)
    else:
        written = _put_within_reach(ctx.within(ctx.store, access), write)
    note(ctx, write, written)
    return written


def in_force(ctx: Context, access: Access, resource_type: str) -> Access:
    """The access without consents, where they alone stand between it and every resource of the type, and there are
    none: then nothing needs to be looked at."""
    alone = not access.whole(resource_type) and access.without_consents().whole(resource_type)
    return access.without_consents() if alone and not ctx.store.has_consents() else access


def by_type_alone(ctx: Context, access: Access, resource_type: str) -> bool:
    """Whether every resource of the type may be written, so that none needs to be looked at."""
    return access.whole(resource_type) and resource_type not in masking.masks(ctx)


def _put_within_reach(ctx: Context, write: Write) -> Written:
    if write.body is not None:
        check(ctx, ctx.access, [write])
    if write.method == "POST":
        return ctx.store.put(write)
    for _ in range(_ATTEMPTS):
        stored = ctx.store.read(ctx.access, write.resource_type, write.id)
        if stored is None or stored.deleted:
            return _put_anew(ctx, write)
        if write.body is not None:
            refuse_part(ctx, stored)
        # What was looked at is what is replaced.
        open_ended = write.expect is None or write.expect == -1
        written = ctx.store.put(replace(write, expect=stored.version) if open_ended else write)
        if written.status != "conflict" or not open_ended:
            return written
    raise Conflict(
        f"{write.resource_type}/{write.id} is being changed by others; try again.", headers=[("Retry-After", "1")]
    )


def _put_anew(ctx: Context, write: Write) -> Written:
    """Write where nothing is within reach, for those who may write every resource of the type but for consents.

    Raises NotFound for others: the same whether there is none or one out of reach, which ids of one's own choice would
    tell apart.
    """
    unminded = ctx.access.without_consents()
    if unminded.whole(write.resource_type):
        there = ctx.store.read(unminded, write.resource_type, write.id)
        if there is None or there.deleted:
            return ctx.store.put(write)
    raise NotFound(f"{write.resource_type}/{write.id} is not known.")


def refuse_part(ctx: Context, stored: Stored) -> None:
    """Raise Forbidden where the caller sees a part of what would be written over: the rest would be erased or told."""
    if masking.hides(ctx, stored.resource_type, stored.id, stored.version):
        raise refused(
            ctx,
            f"{stored.resource_type}/{stored.id} is shown to you in part, and an update or a patch would erase the "
            "rest of it, or tell of it: that takes a role that sees the whole.",
            "permission",
        )


def check(ctx: Context, access: Access, writes: Sequence[Write]) -> None:
    """Raise Forbidden where what is to be written would be out of the writer's reach.

    Relations and consents are those before the write: nobody becomes related to a patient by writing so.
    """
    narrowed = [one for one in writes if not in_force(ctx, access, one.resource_type).whole(one.resource_type)]
    if not narrowed:
        return
    rows = [(write.resource_type, write.rows) for write in narrowed]
    keys = [ctx.store.hasher.uncached(f"{write.resource_type}/{write.id}") for write in narrowed]
    found = ctx.store.facts(access, rows, every=True, keys=keys)
    for write, facts in zip(narrowed, found, strict=True):
        if access.allows(facts):
            continue
        if access.without_consents().allows(facts):
            raise refused(
                ctx,
                f"A consent of the patient withholds this {write.resource_type} from you: what you may not read you "
                "may not write. A physician can break the glass: Patient/[id]/$break-glass.",
                "consent",
            )
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
