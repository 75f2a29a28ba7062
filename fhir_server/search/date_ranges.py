"""Dates of a search and their comparison with the intervals of the index. https://hl7.org/fhir/R4/search.html#date"""

from __future__ import annotations

import time
from collections.abc import Iterable

from fhir_server.r4 import instants
from fhir_server.search.sql import SqlParameters

_AP_SHARE = 10
"""``ap`` accepts a tenth of the time between the date and now on either side, as the specification recommends."""


def searched(text: str) -> tuple[int, int]:
    """A date of a search as [low, high) in microseconds. Raises ValueError that says what would be right.

    A space stands for the plus sign of a zone, which clients forget to write as %2B.
    """
    try:
        return instants.interval(text.replace(" ", "+") if text[10:11] == "T" else text)
    except ValueError:
        raise ValueError("a date is written as 2026, 2026-11, 2026-11-25 or 2026-11-25T17:48:29Z") from None


def comparison(prefix: str, searched_for: tuple[int, int], sql: SqlParameters, low: str, high: str, cast: str) -> str:
    """The SQL condition on an interval's columns for one prefix; ``cast`` is the columns' type, bigint or float8.

    ``low`` and ``high`` are SQL expressions of an interval [low, high). https://hl7.org/fhir/R4/search.html#prefix
    """
    start, end = searched_for

    def bind(us: int) -> str:
        bounded = min(max(us, instants.MIN), instants.MAX)
        return sql.bind(float(bounded) if cast == "float8" else bounded, cast)

    # Bounds that follow from the condition are written out, so that an index on either column alone can serve it.
    match prefix:
        case "eq":
            return f"{low} >= {bind(start)} AND {low} < {bind(end)} AND {high} <= {bind(end)}"
        case "ne":
            return f"NOT ({low} >= {bind(start)} AND {high} <= {bind(end)})"
        case "gt":
            return f"{high} > {bind(end)}"
        case "lt":
            return f"{low} < {bind(start)}"
        case "ge":
            return f"{high} > {bind(start)} AND ({high} > {bind(end)} OR {low} >= {bind(start)})"
        case "le":
            return f"{low} < {bind(end)} AND ({low} < {bind(start)} OR {high} <= {bind(end)})"
        case "sa":
            return f"{low} >= {bind(end)}"
        case "eb":
            return f"{high} <= {bind(start)}"
        case "po":
            return f"{high} > {bind(start)} AND {low} < {bind(end)}"
    margin = abs(time.time_ns() // 1_000 - start) // _AP_SHARE
    return f"{high} > {bind(start - margin)} AND {low} < {bind(end + margin)}"


def bounds(compared: Iterable[tuple[str, tuple[int, int]]]) -> tuple[int, int] | None:
    """The moments (after, before) between which every interval that meets all comparisons ends and begins.

    It ends after the first and begins before the second. None where an index on the beginning serves as it is: nothing
    is said of the end.
    """
    after, before = instants.MIN, instants.MAX
    for prefix, (start, end) in compared:
        match prefix:
            case "eq" | "ne" | "sa" | "ap":
                return None
            case "ge":
                after = max(after, start)
            case "gt":
                after = max(after, end)
            case "le":
                before = min(before, end)
            case "lt" | "eb":
                before = min(before, start)
            case "po":
                after, before = max(after, start), min(before, end)
    return None if after == instants.MIN else (after, before)
