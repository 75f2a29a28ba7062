"""What is left out of an answer for those who see resources in part, and what they may not search by.

Every answer passes here on its way out, whichever interaction made it, so that no road can forget to. docs/access.md
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from fhir_server.access import elements
from fhir_server.access.policy import Access
from fhir_server.access.roles import ROLES
from fhir_server.interactions.context import Context, Response
from fhir_server.interactions.refusal import refused
from fhir_server.r4 import definitions, json
from fhir_server.search.paths import Child, First, paths
from fhir_server.search.query import (
    Chain,
    Clause,
    Combination,
    Contained,
    Filter,
    Has,
    Include,
    InCompartment,
    Negation,
    SearchQuery,
    Selection,
)
from fhir_server.search.registry import Parameter, Registry

_FREE = frozenset(("_id", "_lastUpdated", "_profile", "_tag", "_security", "_source"))
"""Parameters by what every mask shows."""


_PARTLY = frozenset(role.name for role in ROLES.values() if any(grant.elements for grant in role.grants))
"""The roles that see anything in part; of others nothing needs to be looked at."""


def masks(ctx: Context) -> Mapping[str, str]:
    """The resource types that the caller sees in part, each with its mask."""
    if _PARTLY.isdisjoint(ctx.principal.roles):
        return {}
    return _masks(ctx.decide("read", None)) | _masks(ctx.decide("search-system", None))


def whole(access: Access, found: Mapping[str, str]) -> Access:
    """The access without the types that are seen in part."""
    if not found:
        return access
    every, hidden = frozenset(definitions.load().resource_types), frozenset(found)
    left = [replace(rule, types=(every if rule.types is None else rule.types) - hidden) for rule in access.rules]
    return Access(tuple(rule for rule in left if rule.types))


@lru_cache(maxsize=4096)
def _masks(access: Access) -> dict[str, str]:
    partly = {
        name for rule in access.rules if rule.elements for name in rule.types or definitions.load().resource_types
    }
    return {name: mask for name in sorted(partly) if (mask := access.elements(name))}


def leave_out(ctx: Context, response: Response) -> Response:
    """The answer without what the caller may not see of the resources in it, however deep they stand in bundles."""
    found = masks(ctx)
    if not found or response.body is None or not _mention(tuple(found)).search(response.body):
        return response
    response.body = json.dumps(_without(json.parse(response.body), found))
    return response


@lru_cache(maxsize=256)
def _mention(types: tuple[str, ...]) -> re.Pattern[bytes]:
    return re.compile(rb'"resourceType"\s*:\s*"(?:' + "|".join(types).encode() + rb')"')


def _without(value: Any, found: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_without(one, found) for one in value]
    if not isinstance(value, dict):
        return value
    mask = found.get(value.get("resourceType", ""))
    if mask:
        return elements.masked(mask, value)
    return {name: _without(one, found) for name, one in value.items()}


def searchable(ctx: Context, query: SearchQuery) -> SearchQuery:
    """The query, if it asks for nothing that a mask hides: who may search by an element can guess what it holds.

    Includes follow only what is shown. Raises Forbidden, told from the request alone.
    """
    found = masks(ctx)
    if not found:
        return query
    selections = tuple(_compartments(one, found) for one in query.selections)
    query = replace(query, selections=selections)
    for selection in selections:
        wanted = [one for part in selection.filters for one in _parameters(part)]
        wanted += [key.parameter for key in selection.sort]
        for parameter in wanted:
            mask = found.get(parameter.resource_type)
            if mask and not visible(mask, parameter):
                raise refused(
                    ctx,
                    f"The role {', '.join(ctx.principal.roles)} sees a part of {parameter.resource_type} only, and "
                    f"{parameter.code} would tell of what it does not see.",
                    "permission",
                )
    if not query.includes:
        return query
    return replace(query, includes=tuple(_includes(query.includes, found, ctx.registry)))


def _compartments(selection: Selection, found: Mapping[str, str]) -> Selection:
    """The selection with its compartment entered by the references that are shown, where there is any."""
    mask = found.get(selection.resource_type)
    if not mask:
        return selection
    filters = []
    for part in selection.filters:
        if isinstance(part, InCompartment):
            part = replace(part, parameters=tuple(p for p in part.parameters if visible(mask, p)) or part.parameters)
        filters.append(part)
    return replace(selection, filters=tuple(filters))


def _includes(includes: Iterable[Include], found: Mapping[str, str], registry: Registry) -> Iterator[Include]:
    """The includes without references that are hidden; one with none left is left out, for it would mean all."""
    for one in includes:
        if one.source and one.source not in found:
            yield one
            continue
        sources = (one.source,) if one.source else definitions.load().resource_types
        kept = tuple(
            parameter
            for source in sources
            for parameter in one.parameters or registry.parameters(source).values()
            if parameter.type == "reference"
            and parameter.status == "active"
            and (source not in found or visible(found[source], parameter))
        )
        if kept:
            yield replace(one, parameters=kept)


def _parameters(part: Filter) -> Iterator[Parameter]:
    """Every parameter that a filter goes by, those of chains and of what refers as well."""
    match part:
        case Clause(parameter=parameter):
            yield parameter
        case Chain(parameter=parameter, targets=targets):
            yield parameter
            for _, inner in targets:
                yield from _parameters(inner)
        case Has(parameter=parameter, filter=inner):
            yield parameter
            yield from _parameters(inner)
        case InCompartment(parameters=parameters):
            yield from parameters
        case Negation(part=inner):
            yield from _parameters(inner)
        case Combination(parts=parts) | Contained(parts=parts):
            for inner in parts:
                yield from _parameters(inner)


@lru_cache(maxsize=8192)
def visible(mask: str, parameter: Parameter) -> bool:
    """Whether a search parameter goes by nothing but elements that the mask shows."""
    if parameter.code in _FREE:
        return True
    if parameter.components:
        # A composite's parts are looked up by what they refer to; of types that are masked none is needed.
        return False
    if not parameter.expression:
        return False
    wanted = elements.shown(mask, parameter.resource_type)
    starts = [path.steps[0] for path in paths(parameter.expression, parameter.resource_type)]
    return bool(starts) and all(
        isinstance(step, Child | First) and _element(parameter.resource_type, step.name) in wanted for step in starts
    )


def _element(resource_type: str, name: str) -> str:
    """The element that a JSON property is of: onsetDateTime is one of onset[x]."""
    for element in definitions.load().types[resource_type].elements.values():
        if name in element.json_names():
            return element.name
    return ""
