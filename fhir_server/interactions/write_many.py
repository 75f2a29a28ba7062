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
    changed = _next_versions(many)
    answers: dict[int, Written] = {}
    if 0 < len(new) <= _CHUNK and 0 < len(changed) <= _CHUNK and not _defines(many):
        answers.update(_together(store, many, new, changed))
    else:
        for start in range(0, len(new), _CHUNK):
            part = new[start : start + _CHUNK]
            _permit_new(store, [many[place] for place in part])
            told = store.create_many([many[place][1] for place in part], fresh=False)
            answers.update(_created(many, part, *told))
        for start in range(0, len(changed), _CHUNK):
            part = changed[start : start + _CHUNK]
            answers.update(_updated(many, part, store.update_many([many[place][1] for place in part])))
    for place, (ctx, write) in enumerate(many):
        if place not in answers:
            access = permit(ctx, write.method, write.resource_type)
            written = guard.put(ctx.within(store, access), write)
            if written.status not in ("created", "updated", "deleted", "gone"):
                raise _moved(write) if written.status in ("conflict", "exists") else refused(write, written)
            answers[place] = written
    return [answers[place] for place in range(len(many))]


def _together(store: Store, many: Sequence[Pending], new: Sequence[int], changed: Sequence[int]) -> dict[int, Written]:
    """What is new and what is changed, in one round trip."""
    _permit_new(store, [many[place] for place in new])
    created, last_updated = store.write_together(
        [many[place][1] for place in new], [many[place][1] for place in changed]
    )
    return {**_created(many, new, *created), **_updated(many, changed, last_updated)}


def _permit_new(store: Store, many: Sequence[Pending]) -> None:
    """Raise Forbidden where any of what is new may not be written."""
    groups: dict[tuple[int, str], list[Pending]] = {}
    for pending in many:
        groups.setdefault((id(pending[0]), pending[1].resource_type), []).append(pending)
    for (_, resource_type), group in groups.items():
        access = permit(group[0][0], "POST", resource_type)
        guard.check(group[0][0].within(store, access), access, [write for _, write in group])


def _created(
    many: Sequence[Pending], places: Sequence[int], there: Sequence[int], last_updated: int
) -> dict[int, Written]:
    if there:
        raise _moved(many[places[there[0]]][1])
    written = Written("created", 1, last_updated)
    for place in places:
        guard.note(*many[place], written)
    return dict.fromkeys(places, written)


def _next_versions(many: Sequence[Pending]) -> list[int]:
    """The next versions that one statement can write; what is written twice is not among them."""
    names = Counter((write.resource_type, write.id) for _, write in many)
    found = []
    for place, (ctx, write) in enumerate(many):
        next_version = write.method == "PUT" and write.body is not None and (write.expect or 0) > 0
        alone = names[write.resource_type, write.id] == 1 and write.resource_type != "SearchParameter"
        if (
            next_version
            and alone
            and guard.by_type_alone(ctx, permit(ctx, write.method, write.resource_type), write.resource_type)
        ):
            found.append(place)
    return found


def _updated(many: Sequence[Pending], places: Sequence[int], last_updated: int | None) -> dict[int, Written]:
    """Where one of them is not as expected, or deleted, each is looked at by itself: none was written."""
    answers: dict[int, Written] = {}
    for place in places if last_updated is not None else ():
        ctx, write = many[place]
        answers[place] = Written("updated", (write.expect or 0) + 1, last_updated or 0)
        guard.note(ctx, write, answers[place])
    return answers


def _defines(many: Sequence[Pending]) -> bool:
    """Whether a search parameter is among them, which is more than a resource."""
    return any(write.resource_type == "SearchParameter" for _, write in many)


def _key(store: Store, write: Write) -> int:
    return store.hasher.uncached(f"{write.resource_type}/{write.id}")


def _moved(write: Write) -> Conflict:
    return Conflict(f"{write.resource_type}/{write.id} is being changed by others; try again.")
