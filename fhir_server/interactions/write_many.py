"""Many writes in one transaction, what is new in one statement. docs/architecture.md, "Rows" """

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from fhir_server.access.policy import Access
from fhir_server.errors import Conflict
from fhir_server.interactions import guard
from fhir_server.interactions.context import Context
from fhir_server.interactions.refusal import refusal
from fhir_server.interactions.write import refused
from fhir_server.store.resources import Write, Written
from fhir_server.store.store import Store

_CHUNK = 1000
"""Resources that one statement creates: it bounds the memory that a statement's arguments take."""

Pending = tuple[Context, Write]
"""A prepared write, and on whose behalf it is made."""

_INTERACTIONS = {"POST": "create", "PUT": "update", "DELETE": "delete"}


def permit(ctx: Context, method: str, resource_type: str) -> Access:
    """The decision on writing resources of a type. Raises Forbidden where it leaves nothing."""
    interaction = _INTERACTIONS[method]
    access = ctx.decide(interaction, resource_type)
    if access.nothing:
        raise refusal(ctx, interaction, resource_type)
    return access


def run(store: Store, many: Sequence[Pending]) -> list[Written]:
    """Write, inside the transaction of ``store``; the answers in the order of ``many``.

    First those with the method POST, which are new by what the caller has seen, in the order of their keys; then next
    versions that name the one before, where types alone decide; then the others as they stand. What is written over is
    expected to be locked. Raises Conflict where anything is not as expected, and Forbidden.
    """
    keys = {place: _key(store, write) for place, (_, write) in enumerate(many)}
    new = sorted((place for place in keys if many[place][1].method == "POST"), key=keys.__getitem__)
    answers: dict[int, Written] = {}
    for start in range(0, len(new), _CHUNK):
        part = new[start : start + _CHUNK]
        answers.update(zip(part, _create(store, [many[place] for place in part]), strict=True))
    answers.update(_update(store, many))
    for place, (ctx, write) in enumerate(many):
        if place not in answers:
            access = permit(ctx, write.method, write.resource_type)
            written = guard.put(ctx.within(store, access), write)
            if written.status not in ("created", "updated", "deleted", "gone"):
                raise _moved(write) if written.status in ("conflict", "exists") else refused(write, written)
            answers[place] = written
    return [answers[place] for place in range(len(many))]


def _create(store: Store, many: Sequence[Pending]) -> list[Written]:
    groups: dict[tuple[int, str], list[Pending]] = {}
    for pending in many:
        groups.setdefault((id(pending[0]), pending[1].resource_type), []).append(pending)
    for (_, resource_type), group in groups.items():
        access = permit(group[0][0], "POST", resource_type)
        guard.check(group[0][0].within(store, access), access, [write for _, write in group])
    there, last_updated = store.create_many([write for _, write in many], fresh=False)
    if there:
        raise _moved(many[there[0]][1])
    for ctx, write in many:
        guard.note(ctx, write, Written("created", 1, last_updated))
    return [Written("created", 1, last_updated)] * len(many)


def _update(store: Store, many: Sequence[Pending]) -> dict[int, Written]:
    """Write the next versions that one statement can write; what is written twice is not among them."""
    names = Counter((write.resource_type, write.id) for _, write in many)
    found = []
    for place, (ctx, write) in enumerate(many):
        next_version = write.method == "PUT" and write.body is not None and (write.expect or 0) > 0
        alone = names[write.resource_type, write.id] == 1 and write.resource_type != "SearchParameter"
        if next_version and alone and permit(ctx, write.method, write.resource_type).whole(write.resource_type):
            found.append(place)
    answers: dict[int, Written] = {}
    for start in range(0, len(found), _CHUNK):
        part = found[start : start + _CHUNK]
        last_updated = store.update_many([many[place][1] for place in part])
        # Where one of them is not as expected, or deleted, each is looked at by itself.
        for place in part if last_updated is not None else ():
            ctx, write = many[place]
            answers[place] = Written("updated", (write.expect or 0) + 1, last_updated or 0)
            guard.note(ctx, write, answers[place])
    return answers


def _key(store: Store, write: Write) -> int:
    return store.hasher.uncached(f"{write.resource_type}/{write.id}")


def _moved(write: Write) -> Conflict:
    return Conflict(f"{write.resource_type}/{write.id} is being changed by others; try again.")
