"""In which order _sort puts resources. https://hl7.org/fhir/R4/search.html#_sort

Of several values the one counts that comes first in the order asked for: the least, or the greatest under "-".
Resources without a value come last either way.
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
    kind = parameter_of(key.partition("/")[0], code).kind
    ranks = [rank for one in universe.found(key, code) for rank in _RANKS[kind](one, descending)]
    if not ranks:
        return None
    return max(ranks) if descending else min(ranks)


def _dates(found: Value, descending: bool) -> list[Any]:
    limits = spans.date_of(found)
    return [] if limits is None else [limits[1] if descending else limits[0]]


def _strings(found: Value, descending: bool) -> list[Any]:
    return [matching.folded(text) for text in matching.texts(found)]


def _tokens(found: Value, descending: bool) -> list[Any]:
    return [code for _, code in matching.codings(found) if code is not None]


def _quantities(found: Value, descending: bool) -> list[Any]:
    known = matching.units(found)
    return [] if known is None else [known[0][1] if descending else known[0][0]]


def _numbers(found: Value, descending: bool) -> list[Any]:
    if found.type == "Range":
        limits = spans.range_of(found.value)
        return [] if limits is None else [limits[1] if descending else limits[0]]
    return [found.value]


_RANKS: dict[str, Callable[[Value, bool], list[Any]]] = {
    "date": _dates,
    "string": _strings,
    "token": _tokens,
    "quantity": _quantities,
    "number": _numbers,
    "uri": lambda found, descending: [found.value],
    "reference": lambda found, descending: matching.pointed(found)[:1],
}
