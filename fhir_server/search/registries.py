"""From what is known of a tenant's own search parameters to its registry. docs/search-parameters.md"""

from __future__ import annotations

import logging
from weakref import WeakKeyDictionary

from fhir_server.crypto.hashing import param_id
from fhir_server.r4.definitions import Component
from fhir_server.search.paths import Unsupported, paths
from fhir_server.search.registry import STANDARD, Parameter, Registry
from fhir_server.store.parameter_watch import NOTHING, Known, watch
from fhir_server.store.search_parameters import Entry
from fhir_server.store.store import Store

log = logging.getLogger(__name__)

_MADE: WeakKeyDictionary[Known, Registry] = WeakKeyDictionary()


def registry_of(store: Store) -> Registry:
    """The search parameters of a store's tenant. Raises Unavailable where the database cannot be asked."""
    known = watch(store.database).of(store.tenant_id)
    if known is NOTHING:
        return STANDARD
    registry = _MADE.get(known)
    if registry is None:
        own = tuple(parameter for entry in known.entries for parameter in parameters_of(entry))
        registry = _MADE[known] = Registry(own, known.generation, known.upgrading)
    return registry


def parameters_of(entry: Entry) -> list[Parameter]:
    """The parameter of each resource type that an entry is for, with its status in words for people."""
    definition = entry.definition
    components = tuple(Component(url, expression) for url, expression in definition.components)
    return [
        Parameter(
            resource_type,
            definition.code,
            definition.type,
            param_id(f"{resource_type}.{definition.code}"),
            definition.url,
            definition.expression,
            definition.targets,
            components,
            _status(entry, resource_type),
        )
        for resource_type in definition.types
    ]


def _status(entry: Entry, resource_type: str) -> str:
    try:
        paths(entry.definition.expression, resource_type)
    except (Unsupported, ValueError) as error:
        # It was accepted by another version of this server; better refused than half indexed.
        log.error("search parameter cannot be compiled any more", extra={"code": entry.definition.code})
        return f"failed: {error}"
    if entry.state == "active":
        return "active"
    if entry.state == "failed":
        return f"failed: {entry.error}"
    if not entry.total:
        return "building, about to begin"
    return f"building, {min(100 * entry.done // entry.total, 100)} % of {entry.total:,} resources"
