"""Medians, percentiles and spread of what was measured. https://www.itl.nist.gov/div898/handbook/prc/section2/prc262.htm"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

__all__ = ["median", "percentile", "spread"]


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The value below which ``percent`` of the sorted values lie, by nearest rank. Raises ValueError for no values."""
    if not ordered:
        raise ValueError("there is no percentile of nothing")
    if not 0 <= percent <= 100:
        raise ValueError("a percentile is between 0 and 100")
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(int(rank), 1) - 1]


def spread(values: Sequence[float]) -> float:
    """Half the distance from the least to the greatest value, as a part of the median: 0.05 is within 5 %."""
    middle = median(values)
    return (max(values) - min(values)) / 2 / middle if middle else 0.0
