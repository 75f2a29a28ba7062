"""What is left out of an answer for those who see resources in part.

Every answer passes here on its way out, whichever interaction made it, so that no road can forget to. Of several rules
that let one resource through each shows what it shows. docs/access.md
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from fhir_server.access import elements
from fhir_server.access.policy import Access
from fhir_server.access.roles import ROLES
from fhir_server.interactions import past
from fhir_server.interactions.context import Context, Response
from fhir_server.r4 import definitions, json
from fhir_server.search import by_key
from fhir_server.store.searching import ConsentsFound

Masks = Mapping[str, tuple[str, ...]]
"""The resource types that are seen in part, each with its masks; "" among them for what some rule shows whole."""

_PARTLY = frozenset(role.name for role in ROLES.values() if any(grant.elements for grant in role.grants))
"""The roles that see anything in part; of others nothing needs to be looked at."""


class _Named(NamedTuple):
    """A version of a resource, as an answer has it."""

    resource_type: str
    id: str
    version: str


def sees_in_part(ctx: Context) -> bool:
    """Whether the caller has a role that sees anything in part."""
    return not _PARTLY.isdisjoint(ctx.principal.roles)


def masks(ctx: Context) -> Masks:
    """The resource types of which the caller sees some resources in part."""
    return masks_of(_seeing(ctx)) if sees_in_part(ctx) else {}


def whole(access: Access) -> Access:
    """The access without what is seen in part."""
    return access.shown_by("")


@lru_cache(maxsize=4096)
def masks_of(access: Access) -> Masks:
    """The masks of an access, by type."""
    partly = {
        name for rule in access.rules if rule.elements for name in rule.types or definitions.load().resource_types
    }
    return {name: found for name in sorted(partly) if (found := access.masks(name)) != ("",)}


def _seeing(ctx: Context) -> Access:
    """What the caller may see by reading or by searching: what one of them shows needs no hiding from the other."""
    return _either(ctx.decide("read", None).visible, ctx.decide("search-system", None).visible)


@lru_cache(maxsize=4096)
def _either(reading: Access, searching: Access) -> Access:
    return Access(tuple(dict.fromkeys((*reading.rules, *searching.rules))))


def leave_out(ctx: Context, response: Response) -> Response:
    """The answer without what the caller may not see of the resources in it, however deep they stand in bundles."""
    found = masks(ctx)
    if not found or response.body is None or not _mention(tuple(found)).search(response.body):
        return response
    response.body = json.dumps(_without(ctx, json.parse(response.body), found))
    return response


def part_of(ctx: Context, resource: dict[str, Any]) -> dict[str, Any]:
    """What the caller may see of one resource that is stored."""
    found = masks(ctx)
    if resource["resourceType"] not in found:
        return resource
    shown: dict[str, Any] = _without(ctx, resource, found)
    return shown


def hides(ctx: Context, resource_type: str, resource_id: str, version: int) -> bool:
    """Whether the caller sees a part of this version, and no more."""
    found = masks(ctx)
    if resource_type not in found:
        return False
    one = _Named(resource_type, resource_id, str(version))
    by = _let_through(ctx, {one}, found).get(one, [])
    return bool(by) and "" not in by


@lru_cache(maxsize=256)
def _mention(types: tuple[str, ...]) -> re.Pattern[bytes]:
    return re.compile(rb'"resourceType"\s*:\s*"(?:' + "|".join(types).encode() + rb')"')


def _without(ctx: Context, answer: Any, found: Masks) -> Any:
    let = _let_through(ctx, {one for one in _named(answer) if len(found.get(one.resource_type, ())) > 1}, found)

    def left(value: Any) -> Any:
        if isinstance(value, list):
            return [left(one) for one in value]
        if not isinstance(value, dict):
            return value
        some = found.get(value.get("resourceType", ""))
        if not some:
            return {name: left(one) for name, one in value.items()}
        by = let.get(_name(value), ())
        if "" in by:
            return {name: left(one) for name, one in value.items()}
        shown = [elements.shown(mask, value["resourceType"]) for mask in by or some if mask]
        # Of what is in no table, such as what is contained, all that is known is what every mask shows.
        wanted = frozenset.union(*shown) if by else frozenset.intersection(*shown)
        return elements.masked(value, wanted)

    return left(answer)


def _name(resource: Mapping[str, Any]) -> _Named:
    version = (resource.get("meta") or {}).get("versionId", "")
    return _Named(resource["resourceType"], str(resource.get("id", "")), str(version))


def _named(value: Any) -> Iterator[_Named]:
    """The resources of an answer, in bundles and parameters as well; not what is contained in one."""
    if isinstance(value, list):
        for one in value:
            yield from _named(one)
    elif isinstance(value, dict):
        if value.get("resourceType") not in (None, "Bundle", "Parameters"):
            yield _name(value)
        else:
            for one in value.values():
                yield from _named(one)


def _let_through(ctx: Context, wanted: set[_Named], found: Masks) -> dict[_Named, list[str]]:
    """By which masks each of some versions is seen: those of every rule that lets it through."""
    if not wanted:
        return {}
    seeing = _seeing(ctx)
    let: dict[_Named, list[str]] = {}
    for mask in sorted({mask for one in wanted for mask in found[one.resource_type]}):
        access = seeing.shown_by(mask)
        asked = [one for one in sorted(wanted) if mask in found[one.resource_type]]
        current = _current(ctx, access, asked)
        for one in asked:
            version = current.get((one.resource_type, one.id))
            if version is None:
                continue
            # A version of the past is seen by what it says itself, as well as by what its resource is now.
            if version == one.version or past.seen(ctx, access, *one) is not None:
                let.setdefault(one, []).append(mask)
    return let


def _current(ctx: Context, access: Access, wanted: Sequence[_Named]) -> dict[tuple[str, str], str]:
    """The versions of some resources as they are now, of those that an access lets through."""
    keys = sorted({ctx.store.hasher.uncached(f"{one.resource_type}/{one.id}") for one in wanted})
    try:
        return _looked_up(ctx, access, keys)
    except ConsentsFound:
        # It is known now that there are consents, and they are minded.
        return _looked_up(ctx, access, keys)


def _looked_up(ctx: Context, access: Access, keys: Sequence[int]) -> dict[tuple[str, str], str]:
    statement = by_key.by_keys(ctx.store.tenant_id, ctx.store.in_force(access), ctx.store.hasher, keys)
    result = ctx.store.search(*statement, plan_kept=True)
    get, names = result.get_value, {number: name for name, number in definitions.load().type_ids.items()}
    return {
        (names[int(get(row, 1) or 0)], (get(row, 2) or b"").decode()): (get(row, 3) or b"").decode()
        for row in range(result.ntuples)
    }
