"""What the search index holds of a resource. https://hl7.org/fhir/R4/search.html#Introduction

The functions that find the values are generated per resource type on first use: extract_source.py.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from fhir_server.crypto.hashing import Hasher
from fhir_server.r4 import definitions
from fhir_server.search.extract_source import generate
from fhir_server.search.registry import parameters
from fhir_server.store.index_rows import IndexRows

Extractor = Callable[[dict[str, Any], IndexRows, Hasher], None]


@cache
def extractor(resource_type: str) -> tuple[Extractor, int]:
    """The compiled function of a resource type, and the param of its clinical date (0: it has none).

    Raises KeyError for a name that is no resource type.
    """
    source, names = generate(resource_type)
    exec(compile(source, f"<search extractor of {resource_type}>", "exec"), names)  # noqa: S102 generated from the pack
    code = definitions.load().date_param.get(resource_type)
    return names["extract"], parameters(resource_type)[code].param if code else 0


def extract(resource: dict[str, Any], hasher: Hasher) -> IndexRows:
    """The index rows of a resource that validation has accepted.

    References to resources of this server are relative by now; ``id`` may still be missing.
    https://hl7.org/fhir/R4/search.html#ptypes. Raises TooLarge for more of them than MAX_ROWS.
    """
    function, date_param = extractor(resource["resourceType"])
    rows = IndexRows()
    function(resource, rows, hasher)
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
