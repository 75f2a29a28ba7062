"""The search parameters of each resource type, by code. https://hl7.org/fhir/R4/searchparameter-registry.html"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, lru_cache

from fhir_server.crypto.hashing import param_id
from fhir_server.r4 import definitions


@dataclass(frozen=True, slots=True)
class Parameter:
    """A search parameter of one resource type. https://hl7.org/fhir/R4/searchparameter.html

    ``param`` is its number in the index. ``expression`` is the FHIRPath as published, for all its bases; "" when the
    parameter has none (_text, _content, _query, _filter, near ...). ``status`` is "active", or says how far a custom
    parameter has come: its index rows are written, but searches that name it are refused until it is active.
    """

    resource_type: str
    code: str
    type: str
    param: int
    url: str
    expression: str
    targets: tuple[str, ...]
    components: tuple[definitions.Component, ...]
    status: str = "active"


@dataclass(frozen=True, slots=True)
class Registry:
    """The search parameters of one tenant: the standard ones and its ``custom`` ones.

    ``generation`` numbers what is indexed: rows of an earlier one lack a parameter, or have one too many.
    https://hl7.org/fhir/R4/searchparameter.html
    """

    custom: tuple[Parameter, ...] = ()
    generation: int = 0

    def parameters(self, resource_type: str) -> dict[str, Parameter]:
        """The parameters of a resource type by code. Raises KeyError for a name that is no resource type."""
        return _with_custom(self, resource_type) if self.custom else parameters(resource_type)

    def indexed(self, resource_type: str) -> tuple[Parameter, ...]:
        """The custom parameters of a type, in any status: each has index rows from when its index is being built.

        They are the same values for the same index, however far it has come.
        """
        return _indexed(self, resource_type) if self.custom else ()


@lru_cache(maxsize=2_048)
def _indexed(registry: Registry, resource_type: str) -> tuple[Parameter, ...]:
    own = (p for p in registry.custom if p.resource_type == resource_type and not p.status.startswith("failed"))
    return tuple(replace(p, status="active") for p in own)


@lru_cache(maxsize=2_048)
def _with_custom(registry: Registry, resource_type: str) -> dict[str, Parameter]:
    own = {p.code: p for p in registry.custom if p.resource_type == resource_type}
    return dict(sorted((parameters(resource_type) | own).items())) if own else parameters(resource_type)


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


STANDARD = Registry()
"""The parameters that FHIR R4 itself defines."""


def parameter(resource_type: str, code: str) -> Parameter | None:
    """One parameter, or None."""
    return parameters(resource_type).get(code)


@lru_cache(maxsize=1)
def by_url() -> dict[str, definitions.SearchParameter]:
    """The standard parameters by canonical URL, as composites refer to them."""
    return {p.url: p for p in definitions.load().search_parameters}
