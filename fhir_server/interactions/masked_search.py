"""Searching by what is shown only: who may search by an element can guess what it holds. docs/access.md"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache

from fhir_server.access import elements
from fhir_server.interactions.context import Context
from fhir_server.interactions.masking import Masks, masks_of, sees_in_part
from fhir_server.interactions.refusal import refused
from fhir_server.r4 import definitions
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


def searchable(ctx: Context, query: SearchQuery) -> SearchQuery:
    """The query, so that nothing is found by what is not shown of it.

    Where one role shows an element and another hides it, the resources that the first lets through are found by it;
    where none shows it, and for orders, the search is refused: Forbidden, told from the request alone. Includes follow
    only what is shown of every resource of their type.
    """
    if not sees_in_part(ctx):
        return query
    found = masks_of(ctx.decide("search-system", None))
    if not found:
        return query
    selections = tuple(_compartments(one, found) for one in query.selections)
    hidden: dict[tuple[str, str], None] = {}
    for selection in selections:
        for parameter in (one for part in selection.filters for one in _parameters(part)):
            blind = _blind(found, parameter)
            if blind and len(blind) == len(found[parameter.resource_type]):
                raise _telling(ctx, parameter)
            hidden |= dict.fromkeys((parameter.resource_type, mask) for mask in blind)
        for parameter in (key.parameter for key in selection.sort):
            if _blind(found, parameter):
                raise _telling(ctx, parameter)
    if query.contained != "false":
        # What is contained is shown by none of the masks: nothing is found by it.
        hidden |= {(name, mask): None for name, some in found.items() for mask in some if mask}
    if query.includes:
        query = replace(query, includes=tuple(_includes(query.includes, found, ctx.registry)))
    return replace(query, selections=selections, hidden=tuple(sorted(hidden)))


def _blind(found: Masks, parameter: Parameter) -> list[str]:
    """The masks that do not show what a parameter goes by."""
    return [mask for mask in found.get(parameter.resource_type, ()) if mask and not visible(mask, parameter)]


def _telling(ctx: Context, parameter: Parameter) -> Exception:
    return refused(
        ctx,
        f"The role {', '.join(ctx.principal.roles)} sees a part of {parameter.resource_type} only, and "
        f"{parameter.code} would tell of what it does not see.",
        "permission",
    )


def _compartments(selection: Selection, found: Masks) -> Selection:
    """The selection with its compartment entered by the references that are shown, where there is any."""
    some = found.get(selection.resource_type)
    if not some:
        return selection
    filters = []
    for part in selection.filters:
        if isinstance(part, InCompartment):
            shown = tuple(one for one in part.parameters if not _blind(found, one))
            part = replace(part, parameters=shown or part.parameters)
        filters.append(part)
    return replace(selection, filters=tuple(filters))


def _includes(includes: Iterable[Include], found: Masks, registry: Registry) -> Iterator[Include]:
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
            if parameter.type == "reference" and parameter.status == "active" and not _blind(found, parameter)
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
