"""The search parameters of each resource type, by code. https://hl7.org/fhir/R4/searchparameter-registry.html"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from typing import Any

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
    ``incomplete`` says that the index is being brought up to date after an upgrade. ``memo`` keeps what is worked out
    from it, for as long as it is in use.
    https://hl7.org/fhir/R4/searchparameter.html
    """

    custom: tuple[Parameter, ...] = ()
    generation: int = 0
    incomplete: bool = False
    memo: dict[tuple[str, str], Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def parameters(self, resource_type: str) -> dict[str, Parameter]:
        """The parameters of a resource type by code. Raises KeyError for a name that is no resource type."""
        if not self.custom:
            return parameters(resource_type)
        found: dict[str, Parameter] | None = self.memo.get(("parameters", resource_type))
        if found is None:
            own = {p.code: p for p in self.custom if p.resource_type == resource_type}
            found = self.memo["parameters", resource_type] = dict(sorted((parameters(resource_type) | own).items()))
        return found

    def indexed(self, resource_type: str) -> tuple[Parameter, ...]:
        """The custom parameters of a type that have index rows: from when its index is being built.

        They are the same values for the same index, however far it has come.
        """
        return tuple(
            replace(p, status="active")
            for p in self.custom
            if p.resource_type == resource_type and not p.status.startswith("failed")
        )


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


def score(resource_type: str) -> Parameter:
    """What ``_sort=-_score`` sorts by: how well a text matches. https://hl7.org/fhir/R4/search.html#score"""
    return Parameter(resource_type, SCORE, "special", 0, "", "", (), ())


SCORE = "_score"

STANDARD = Registry()
"""The parameters that FHIR R4 itself defines."""


def parameter(resource_type: str, code: str) -> Parameter | None:
    """One parameter, or None."""
    return parameters(resource_type).get(code)


@lru_cache(maxsize=1)
def by_url() -> dict[str, definitions.SearchParameter]:
    """The standard parameters by canonical URL, as composites refer to them."""
    return {p.url: p for p in definitions.load().search_parameters}
