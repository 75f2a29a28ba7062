"""A short time bounded by two clauses: ``date=ge2024-05-01&date=lt2024-06-01``. https://hl7.org/fhir/R4/search.html#date"""

from __future__ import annotations

from collections.abc import Iterable

from fhir_server.r4 import instants
from fhir_server.search import date_ranges
from fhir_server.search.query import Clause
from fhir_server.search.values import split_prefix

SHORT = 32 * instants.DAY
"""Up to this many microseconds, a month, a window is taken to hold few enough resources to start from."""

_LOWER = frozenset({"ge", "gt", "sa"})
_UPPER = frozenset({"le", "lt", "eb"})


def is_bound(clause: Clause) -> bool:
    """Whether the clause bounds its parameter on one side."""
    if clause.modifier or len(clause.values) != 1:
        return False
    return split_prefix(clause.values[0])[0] in _LOWER | _UPPER


def is_short(clauses: Iterable[Clause]) -> bool:
    """Whether clauses on one parameter, each of which `is_bound`, leave at most a month between them.

    The planner cannot see this, since the two bounds are on the two columns of an interval: it takes each by itself to
    let half of all rows through. Raises ValueError for what is no date.
    """
    lower, upper = instants.MIN, instants.MAX
    for clause in clauses:
        prefix, text = split_prefix(clause.values[0])
        start, end = date_ranges.searched(text)
        if prefix in _LOWER:
            lower = max(lower, start)
        else:
            upper = min(upper, end)
    return upper - lower <= SHORT
