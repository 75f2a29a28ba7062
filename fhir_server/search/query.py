"""A search as plain values, between the query string and the SQL. https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

from dataclasses import dataclass

from fhir_server.search.registry import Parameter


@dataclass(frozen=True, slots=True)
class Clause:
    """One search parameter of a query: ``code:modifier=value,value``; the values are alternatives (OR).

    ``values`` are split at unescaped commas and still carry the escapes for "|", "$" and "\\", which each type undoes
    itself. ``text`` is the clause as the client wrote it, for messages and the self link.
    """

    parameter: Parameter
    modifier: str
    values: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A parsed search on one resource type.

    ``sort`` is a list of (code, descending). ``count`` is the page size. ``total`` is none, estimate or accurate.
    ``summary`` is "", true, text, data, count or false. ``cursor`` is the sealed continuation of an earlier page or "".
    ``ignored`` lists what was left out under ``Prefer: handling=lenient``, for the outcome entry.
    """

    resource_type: str
    clauses: tuple[Clause, ...]
    sort: tuple[tuple[str, bool], ...] = ()
    count: int = 20
    total: str = "none"
    summary: str = ""
    elements: tuple[str, ...] = ()
    cursor: str = ""
    ignored: tuple[str, ...] = ()
