"""Contained resources as something to search for: by numbers of their own, so that no other search meets them.

The index rows of a contained resource belong to the resource that contains it. Under the number of its parameter alone
two contained resources would be taken for one, so each has numbers of its own by its place among those of its type.
https://hl7.org/fhir/R4/search.html#contained
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache
from typing import Any

from fhir_server.crypto.hashing import Hasher, param_id
from fhir_server.search import extract_source
from fhir_server.search.registry import Parameter, parameters
from fhir_server.store.index_rows import IndexRows

MOST = 8
"""How many contained resources of one type are found; any more of them in the same resource are not."""


@cache
def parameter_at(parameter: Parameter, place: int) -> Parameter:
    """A parameter as it is written for the contained resource at a place from 0."""
    return replace(parameter, param=param_id(f"{parameter.param}#contained{place}"))


@cache
def marker(resource_type: str, place: int) -> Parameter:
    """What is written of a contained resource itself: that it is there."""
    number = param_id(f"{resource_type}#contained{place}")
    return Parameter(resource_type, "contained", "token", number, "", "", (), ())


def marker_text(resource_type: str, place: int) -> str:
    """What the marker's token is the hash of."""
    return f"{marker(resource_type, place).param}:c:{resource_type}"


@cache
def _extractor(resource_type: str, place: int) -> Any:
    numbered = [parameter_at(one, place) for one in parameters(resource_type).values()]
    source, names = extract_source.generate_contained(resource_type, numbered)
    exec(compile(source, f"<extractor of contained {resource_type}>", "exec"), names)  # noqa: S102 from the pack
    return names["extract"]


def write(resource: dict[str, Any], rows: IndexRows, hasher: Hasher) -> None:
    """Write the values of each contained resource. Raises TooLarge for more of them than a resource may have."""
    places: Counter[str] = Counter()
    for one in resource["contained"]:
        resource_type = one["resourceType"]
        place = places[resource_type]
        places[resource_type] += 1
        if place < MOST:
            rows.tokens.append(hasher(marker_text(resource_type, place)))
            _extractor(resource_type, place)(one, rows, hasher)
