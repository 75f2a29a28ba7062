"""A search as plain values, between the query string and the SQL. https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from fhir_server.search.registry import Parameter


@dataclass(frozen=True, slots=True)
class Clause:
    """One search parameter of a query: ``code:modifier=value,value``; the values are alternatives (OR).

    ``values`` are split at unescaped commas and still carry the escapes for "|", "$" and "\\", which each type undoes
    itself. ``text`` is the clause as the client wrote it, for messages and the self link. ``codes`` are the
    (system, code) pairs that a modifier such as ``:in`` stands for, once they have been looked up; None before.
    """

    parameter: Parameter
    modifier: str
    values: tuple[str, ...]
    text: str
    codes: tuple[tuple[str, str], ...] | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """A chained parameter, ``subject:Patient.name=ann``. https://hl7.org/fhir/R4/search.html#chaining

    A resource matches when its reference ``parameter`` leads to a resource of one of the types in ``targets`` that
    meets the filter beside the type.
    """

    parameter: Parameter
    targets: tuple[tuple[str, Filter], ...]
    text: str


@dataclass(frozen=True, slots=True)
class Has:
    """A reverse chain, ``_has:Observation:patient:code=1234-5``. https://hl7.org/fhir/R4/search.html#has

    A resource matches when a resource of the type of ``parameter``, a reference, leads to it and meets the ``filter``.
    """

    parameter: Parameter
    filter: Filter
    text: str


@dataclass(frozen=True, slots=True)
class InCompartment:
    """Membership of the compartment of one resource. https://hl7.org/fhir/R4/compartmentdefinition.html

    ``parameters`` are the references of which one leads to ``owner`` ("Patient/123"); none: it is the owner itself.
    """

    owner: str
    parameters: tuple[Parameter, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Combination:
    """Filters of which all ("and") or any ("or") are to hold. https://hl7.org/fhir/R4/search_filter.html"""

    operator: str
    parts: tuple[Filter, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Negation:
    """A filter that is not to hold. https://hl7.org/fhir/R4/search_filter.html"""

    part: Filter
    text: str


@dataclass(frozen=True, slots=True)
class Contained:
    """A contained resource of a type that meets all ``parts``, clauses and chains.

    https://hl7.org/fhir/R4/search.html#contained
    """

    resource_type: str
    parts: tuple[Filter, ...]
    text: str = ""


Filter = Contained | Clause | Chain | Has | InCompartment | Combination | Negation
"""What a resource is to meet. ``text`` of each is ``name=value`` as the client wrote it, for the self link."""


@dataclass(frozen=True, slots=True)
class SortKey:
    """One key of ``_sort``: the parameter and its direction. https://hl7.org/fhir/R4/search.html#_sort"""

    parameter: Parameter
    descending: bool


@dataclass(frozen=True, slots=True)
class Include:
    """One ``_include`` or ``_revinclude``. https://hl7.org/fhir/R4/search.html#revinclude

    ``source`` is the type that refers; ``parameters`` are its references to follow (several for a wildcard); ``target``
    is the one type to include or start from, "" for any. ``reverse`` says that the sources are what is included.
    ``iterate`` follows from included resources as well. ``text`` is ``name=value`` as the client wrote it.
    """

    source: str
    parameters: tuple[Parameter, ...]
    target: str
    reverse: bool
    iterate: bool
    text: str


@dataclass(frozen=True, slots=True)
class Selection:
    """What is searched in one resource type: filters that are all to hold, and the order of what they find.

    ``contained`` says that resources of any type are meant, by those of the type that they contain.
    """

    resource_type: str
    filters: tuple[Filter, ...]
    sort: tuple[SortKey, ...] = ()
    contained: bool = False


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A parsed search: one `Selection` for each resource type searched, and how results are returned.

    ``count`` is the page size. ``total`` is none, estimate or accurate. ``summary`` is "", true, text, data, count or
    false. ``ignored`` lists what was left out under ``Prefer: handling=lenient``, for the outcome entry. ``types`` is
    the value of ``_type`` as written, "" where there was none; ``contained`` is false, true or both. ``hidden`` are the
    (type, mask) that do not show what is searched by: resources are not found by what is not shown of them.
    """

    selections: tuple[Selection, ...]
    count: int = 20
    total: str = "none"
    summary: str = ""
    elements: tuple[str, ...] = ()
    includes: tuple[Include, ...] = ()
    ignored: tuple[str, ...] = ()
    types: str = ""
    contained: str = "false"
    hidden: tuple[tuple[str, str], ...] = ()

    @property
    def filters(self) -> tuple[Filter, ...]:
        """The filters of the first selection; those of the others say the same for other types."""
        return self.selections[0].filters if self.selections else ()

    @property
    def sort(self) -> tuple[SortKey, ...]:
        """The sort keys of the first selection."""
        return self.selections[0].sort if self.selections else ()


def clauses(found: Filter) -> Iterator[Clause]:
    """Every clause in a filter, in the order written."""
    match found:
        case Clause():
            yield found
        case Chain(targets=targets):
            for _, part in targets:
                yield from clauses(part)
        case Has(filter=part) | Negation(part=part):
            yield from clauses(part)
        case Combination(parts=parts) | Contained(parts=parts):
            for part in parts:
                yield from clauses(part)


SCORED = frozenset({"_text", "_content"})
"""The parameters whose matches are better or worse. https://hl7.org/fhir/R4/search.html#score"""


def is_scored(found: Filter) -> bool:
    """Whether a filter says how well a resource matches, beside whether it does."""
    return isinstance(found, Clause) and found.parameter.code in SCORED


def each(filters: Iterable[Filter]) -> Iterator[Filter]:
    """Filters that are all to hold, with the parts of those that are "and" in their place."""
    for one in filters:
        if isinstance(one, Combination) and one.operator == "and":
            yield from each(one.parts)
        else:
            yield one


def mapped(found: Filter, change: Callable[[Clause], Clause]) -> Filter:
    """A filter with every clause in it replaced by what ``change`` makes of it."""
    match found:
        case Clause():
            return change(found)
        case Chain(targets=targets):
            return replace(found, targets=tuple((name, mapped(part, change)) for name, part in targets))
        case Has(filter=part):
            return replace(found, filter=mapped(part, change))
        case Negation(part=part):
            return replace(found, part=mapped(part, change))
        case Combination(parts=parts) | Contained(parts=parts):
            return replace(found, parts=tuple(mapped(part, change) for part in parts))
    return found


def with_clauses(query: SearchQuery, change: Callable[[Clause], Clause]) -> SearchQuery:
    """The query with every clause replaced by what ``change`` makes of it."""
    selections = (replace(one, filters=tuple(mapped(part, change) for part in one.filters)) for one in query.selections)
    return replace(query, selections=tuple(selections))
