"""The search parameters of each resource type, by code. https://hl7.org/fhir/R4/searchparameter-registry.html"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

from fhir_server.crypto.hashing import param_id
from fhir_server.r4 import definitions


@dataclass(frozen=True, slots=True)
class Parameter:
    """A search parameter of one resource type. https://hl7.org/fhir/R4/searchparameter.html

    ``param`` is its number in the index. ``expression`` is the FHIRPath as published, for all its bases; "" when the
    parameter has none (_text, _content, _query, _filter, near ...).
    """

    resource_type: str
    code: str
    type: str
    param: int
    url: str
    expression: str
    targets: tuple[str, ...]
    components: tuple[definitions.Component, ...]


@cache
def parameters(resource_type: str) -> dict[str, Parameter]:
    """The parameters of a resource type, those of Resource and DomainResource included, sorted by code.

    Raises KeyError for a name that is no resource type.
    """
    pack = definitions.load()
    chain, name = [], resource_type
    while name:
        chain.append(name)
        name = pack.types[name].base
    found = {
        p.code: Parameter(
            resource_type,
            p.code,
            p.type,
            param_id(f"{resource_type}.{p.code}"),
            p.url,
            p.expression,
            p.targets,
            p.components,
        )
        for base in reversed(chain)
        for p in pack.search_parameters
        if base in p.bases
    }
    return dict(sorted(found.items()))


def parameter(resource_type: str, code: str) -> Parameter | None:
    """One parameter, or None."""
    return parameters(resource_type).get(code)


@lru_cache(maxsize=1)
def by_url() -> dict[str, definitions.SearchParameter]:
    """The standard parameters by canonical URL, as composites refer to them."""
    return {p.url: p for p in definitions.load().search_parameters}
