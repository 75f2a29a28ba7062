"""What the search index holds of a resource. https://hl7.org/fhir/R4/search.html#Introduction

The functions that find the values are generated per resource type on first use: extract_source.py.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

from fhir_server.crypto.hashing import Hasher
from fhir_server.r4 import definitions
from fhir_server.search import care, contained
from fhir_server.search.extract_source import generate
from fhir_server.search.registry import STANDARD, Parameter, Registry, parameters
from fhir_server.search.types import text
from fhir_server.store.index_rows import IndexRows

Extractor = Callable[[dict[str, Any], IndexRows, Hasher], None]


@cache
def extractor(resource_type: str) -> tuple[Extractor, int]:
    """The compiled function of a resource type, and the param of its clinical date (0: it has none).

    Raises KeyError for a name that is no resource type.
    """
    return _compiled(resource_type, ())


def extended(resource_type: str, registry: Registry) -> tuple[Extractor, int]:
    """The same for a tenant with parameters of its own."""
    found: tuple[Extractor, int] | None = registry.memo.get(("extractor", resource_type))
    if found is None:
        # A registry lives until something changes, if only how far a build is; compiled code is kept longer.
        custom = registry.indexed(resource_type)
        found = _extended(resource_type, custom) if custom else extractor(resource_type)
        registry.memo["extractor", resource_type] = found
    return found


@lru_cache(maxsize=1_024)
def _extended(resource_type: str, custom: tuple[Parameter, ...]) -> tuple[Extractor, int]:
    return _compiled(resource_type, custom)


def _compiled(resource_type: str, custom: tuple[Parameter, ...]) -> tuple[Extractor, int]:
    source, names = generate(resource_type, custom)
    exec(compile(source, f"<search extractor of {resource_type}>", "exec"), names)  # noqa: S102 generated from the pack
    code = definitions.load().date_param.get(resource_type)
    return names["extract"], parameters(resource_type)[code].param if code else 0


def extract(
    resource: dict[str, Any], hasher: Hasher, registry: Registry = STANDARD, *, full_text: bool = True
) -> IndexRows:
    """The index rows of a resource that validation has accepted, for the parameters of its tenant.

    References to resources of this server are relative by now; ``id`` may still be missing.
    ``full_text`` has the words of its texts as well: FULL_TEXT in docs/settings.md.
    https://hl7.org/fhir/R4/search.html#ptypes. Raises TooLarge for more of them than MAX_ROWS.
    """
    resource_type = resource["resourceType"]
    function, date_param = extended(resource_type, registry) if registry.custom else extractor(resource_type)
    rows = IndexRows(generation=registry.generation)
    function(resource, rows, hasher)
    if "contained" in resource:
        contained.write(resource, rows, hasher)
    if full_text:
        text.write(resource, rows, hasher)
    if resource_type in care.TYPES:
        care.write(resource, rows, hasher)
    rows.make_room()
    rows.params = list(set(rows.params))
    rows.tokens = list(set(rows.tokens))
    # Most lists hold one row or none, which needs no comparing.
    if len(rows.references) > 1:
        rows.references = list(dict.fromkeys(rows.references))
    if len(rows.strings) > 1:
        rows.strings = list(dict.fromkeys(rows.strings))
    if len(rows.dates) > 1:
        rows.dates = list(dict.fromkeys(rows.dates))
    if len(rows.quantities) > 1:
        rows.quantities = list(dict.fromkeys(rows.quantities))
    if len(rows.composites) > 1:
        rows.composites = list(dict.fromkeys(rows.composites))
    for param, low, high in rows.dates:
        if param == date_param:
            rows.date_low = low if rows.date_low is None else min(low, rows.date_low)
            rows.date_high = high if rows.date_high is None else max(high, rows.date_high)
    return rows
