"""In which order _sort puts resources. https://hl7.org/fhir/R4/search.html#_sort

Of several values the one counts that comes first in the order asked for: the least, or the greatest under "-".
Resources without a value come last either way. A date or a range stands where it begins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.oracle import matching, spans
from tests.oracle.evaluate import Universe, parameter_of
from tests.oracle.values import Value


def breaks(universe: Universe, keys: list[str], sort: tuple[tuple[str, bool], ...]) -> list[tuple[str, str]]:
    """The pairs of neighbours that stand in the wrong order; [] for none. What is equal may stand in any order."""
    ranks = [[_rank(universe, key, code, descending) for code, descending in sort] for key in keys]
    return [
        (keys[n], keys[n + 1])
        for n in range(len(keys) - 1)
        if _before(ranks[n + 1], ranks[n], [descending for _, descending in sort])
    ]


def _before(one: list[Any], other: list[Any], directions: list[bool]) -> bool:
    """Whether ``one`` must come before ``other``."""
    for mine, theirs, descending in zip(one, other, directions, strict=True):
        if mine == theirs:
            continue
        if mine is None or theirs is None:
            return theirs is None
        return bool(mine > theirs if descending else mine < theirs)
    return False


def _rank(universe: Universe, key: str, code: str, descending: bool) -> Any:
    parameter = parameter_of(key.partition("/")[0], code)
    ranks = [rank for one in universe.found(key, code) for rank in _RANKS[parameter.kind](one)]
    if any("(" in path for path in parameter.paths):
        # What type a contained resource has is not told by the reference to it.
        ranks = [rank for rank in ranks if not rank.startswith("#")]
    if not ranks:
        return None
    return max(ranks) if descending else min(ranks)


def _dates(found: Value) -> list[Any]:
    limits = spans.date_of(found)
    return [] if limits is None else [limits[0]]


def _strings(found: Value) -> list[Any]:
    return [matching.folded(text) for text in matching.texts(found)]


def _tokens(found: Value) -> list[Any]:
    return [code for _, code in matching.codings(found) if code is not None]


def _quantities(found: Value) -> list[Any]:
    known = matching.units(found)
    return [] if known is None else [matching.base_number(found, known[0][0])]


def _references(found: Value) -> list[Any]:
    return [found.value["reference"]] if "reference" in found.value else []


def _numbers(found: Value) -> list[Any]:
    if found.type == "Range":
        limits = spans.range_of(found.value)
        return [] if limits is None else [limits[0]]
    return [found.value]


_RANKS: dict[str, Callable[[Value], list[Any]]] = {
    "date": _dates,
    "string": _strings,
    "token": _tokens,
    "quantity": _quantities,
    "number": _numbers,
    "uri": lambda found: [found.value],
    "reference": _references,
}
