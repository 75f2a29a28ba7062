"""A look at some resources before a parameter is used: does the index hold what it should? docs/search-parameters.md"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

from fhir_server.crypto.hashing import Hasher
from fhir_server.search import second_opinion
from fhir_server.search.index import extract
from fhir_server.search.registries import parameters_of
from fhir_server.search.registry import STANDARD, Parameter, Registry
from fhir_server.store import reindexing
from fhir_server.store.index_rows import IndexRows
from fhir_server.store.search_parameters import Entry
from fhir_server.store.store import Store

POINTS = 40
"""Resources of each type that are looked at wherever they stand, and as many again that have a value."""


def problem(store: Store, entry: Entry, relative: Callable[[dict[str, Any]], dict[str, Any]]) -> str:
    """Why a parameter whose index is built cannot be used; "" where it can. Raises Unavailable.

    ``relative`` reads references to the server's own base as the relative ones they stand for.
    """
    for parameter in parameters_of(entry):
        if found := _problem(store, parameter, relative):
            return found
    return ""


def _problem(store: Store, parameter: Parameter, relative: Callable[[dict[str, Any]], dict[str, Any]]) -> str:
    tenant_id, resource_type = store.tenant_id, parameter.resource_type
    points = [random.random() for _ in range(POINTS)]  # noqa: S311 - a sample, no secret
    rids = store.within(
        lambda c: reindexing.some(c, tenant_id, resource_type, points, parameter.param, POINTS),
    )
    resources: list[tuple[str, dict[str, Any]]] = []
    for rid in rids:
        stored = store.within(lambda c, rid=rid: reindexing.stored(c, tenant_id, resource_type, rid))  # type: ignore[misc]
        if stored is None:
            continue
        row, rows = stored
        resource = relative(row.resource)
        if not _agrees(resource, rows, parameter, store.hasher):
            return f"The index does not hold what it should of {resource_type}/{row.id}."
        resources.append((row.id, resource))
    if resources:
        different, _ = second_opinion.differing(parameter, [resource for _, resource in resources])
        if different:
            resource_id = resources[different[0]][0]
            return (
                f"Another FHIRPath engine finds other values in {resource_type}/{resource_id}: write the expression so "
                "that there is no doubt."
            )
    return ""


def _agrees(resource: dict[str, Any], rows: IndexRows, parameter: Parameter, hasher: Hasher) -> bool:
    """Whether the rows of one parameter are those that the resource has; others may be changing meanwhile."""
    own, standard = extract(resource, hasher, Registry((parameter,))), extract(resource, hasher, STANDARD)
    param = parameter.param
    return (
        (param in own.params) == (param in rows.params)
        and set(own.tokens) - set(standard.tokens) <= set(rows.tokens)
        and set(own.composites) - set(standard.composites) <= set(rows.composites)
        and all(
            _of(getattr(own, name), param) == _of(getattr(rows, name), param)
            for name in ("references", "strings", "dates", "quantities")
        )
    )


def _of(rows: Iterable[tuple[Any, ...]], param: int) -> set[tuple[Any, ...]]:
    return {tuple(row) for row in rows if row[0] == param}
