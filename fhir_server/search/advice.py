"""What would make a search cheaper, told from the search itself. docs/search.md, "Costly searches"

The sentences name parameters and modifiers, never values: they may be logged and shown to others than who searched.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fhir_server.errors import Issue, Unavailable
from fhir_server.r4 import definitions
from fhir_server.search import date_ranges, date_windows
from fhir_server.search.query import (
    Chain,
    Clause,
    Combination,
    Filter,
    Has,
    InCompartment,
    Negation,
    SearchQuery,
    Selection,
    clauses,
)
from fhir_server.search.registry import parameters
from fhir_server.search.text_forms import normalise
from fhir_server.search.values import split_prefix, unescape

MOST = 8
"""How many sentences one search is given."""

_WIDE = frozenset(
    {"active", "category", "class", "gender", "intent", "priority", "status", "_security", "_source", "_tag"}
)
"""Parameters of which one value is commonly that of half of all resources."""

_NARROW_TYPES = frozenset({"composite", "reference", "special", "token", "uri"})
_WITHOUT_INDEX = frozenset({"missing", "not", "not-in", "ne"})
_SHORTEST_PREFIX = 2
_LARGE_PAGE = 200
_MANY_TARGETS = 4
_MANY_TYPES = 5
_MANY_CODES = 200
_MANY_VALUES = 50


def advice(query: SearchQuery) -> list[str]:
    """Sentences on how to make the search cheaper, the most effective first; none where nothing is known to help.

    https://hl7.org/fhir/R4/search.html#errors
    """
    return list(dict.fromkeys(_sentences(query)))[:MOST]


@contextmanager
def guarded(query: SearchQuery, timeout_ms: int) -> Iterator[None]:
    """Give advice where a statement of the search takes longer than ``timeout_ms`` milliseconds; 0: than any may.

    Raises the Unavailable of `too_costly` in the place of the store's.
    """
    try:
        yield
    except Unavailable as slow:
        if slow.issues[0].code != "timeout":
            raise
        raise too_costly(query, timeout_ms) from None


def too_costly(query: SearchQuery, timeout_ms: int) -> Unavailable:
    """The refusal of a search that took longer than ``timeout_ms`` milliseconds, with advice on how to narrow it.

    Status 503 without Retry-After: the same search may succeed when the server has less to do, but need not.
    https://hl7.org/fhir/R4/valueset-issue-type.html
    """
    limit = f"the {timeout_ms / 1000:g} seconds that a search may take" if timeout_ms else "the server allows"
    found = f"The search took longer than {limit}, and was ended."
    return Unavailable(
        issues=[
            Issue("error", "too-costly", found),
            *(Issue("information", "informational", sentence) for sentence in advice(query)),
        ]
    )


def is_selective(found: Filter) -> bool:
    """Whether a filter leaves few of all resources, as far as it can be told without asking the database."""
    match found:
        case Clause():
            return _is_selective_clause(found)
        case Chain(targets=targets):
            return all(is_selective(part) for _, part in targets)
        case Has(filter=part):
            return is_selective(part)
        case InCompartment():
            return True
        case Combination(operator="and", parts=parts):
            return any(is_selective(part) for part in parts) or _has_window(parts)
        case Combination(parts=parts):
            return all(is_selective(part) for part in parts)
        case Negation():
            return False
    raise AssertionError(found)


def _is_selective_clause(clause: Clause) -> bool:
    if clause.modifier in _WITHOUT_INDEX or clause.parameter.code in _WIDE:
        return False
    match clause.parameter.type:
        case "string":
            return clause.modifier in ("", "exact", "eq", "text") and all(
                len(normalise(unescape(value))) >= _SHORTEST_PREFIX for value in clause.values
            )
        case "date":
            return all(_is_short(value) for value in clause.values)
        case "number" | "quantity":
            return all(split_prefix(value)[0] in ("eq", "ap") for value in clause.values)
        case kind:
            return kind in _NARROW_TYPES


def _is_short(value: str) -> bool:
    """Whether a date of a search is a period of a month at most."""
    prefix, text = split_prefix(value)
    if prefix != "eq":
        return False
    start, end = date_ranges.searched(text)
    return end - start <= date_windows.SHORT


def _has_window(filters: tuple[Filter, ...]) -> bool:
    """Whether two clauses bound one date on either side, a month apart at most."""
    bounds: dict[str, list[Clause]] = {}
    for found in filters:
        if isinstance(found, Clause) and found.parameter.type == "date" and date_windows.is_bound(found):
            bounds.setdefault(found.parameter.code, []).append(found)
    return any(len(both) > 1 and date_windows.is_short(both) for both in bounds.values())


def is_narrow(selection: Selection) -> bool:
    """Whether some filter, or two dates together, leave few resources of the type."""
    return any(is_selective(found) for found in selection.filters) or _has_window(selection.filters)


def _sentences(query: SearchQuery) -> Iterator[str]:
    wide = [selection for selection in query.selections if not is_narrow(selection)]
    for selection in wide[:1]:
        yield _narrowing(selection)
    for selection in query.selections:
        for found in selection.filters:
            yield from _of_filter(found)
    yield from _of_results(query, wide=bool(wide))


def _narrowing(selection: Selection) -> str:
    resource_type = selection.resource_type
    codes = list(dict.fromkeys(one.parameter.code for found in selection.filters for one in clauses(found)))
    start = (
        f"Nothing narrows the search: {', '.join(codes[:6])} may match most resources of type {resource_type}"
        if codes
        else f"The search has no condition, so every {resource_type} matches"
    )
    return f"{start}. Add {_suggested(resource_type)}."


def _suggested(resource_type: str) -> str:
    known = parameters(resource_type)
    found = []
    if "patient" in known or "subject" in known:
        found.append(f"a patient ({'patient' if 'patient' in known else 'subject'}=Patient/[id])")
    if "code" in known:
        found.append("a code (code=[system]|[code])")
    date = definitions.load().date_param.get(resource_type)
    if date:
        found.append(f"a time of up to a month ({date}=ge2026-05-01&{date}=lt2026-06-01)")
    if not found and "identifier" in known:
        found.append("an identifier (identifier=[system]|[value])")
    if not found and "name" in known:
        found.append("the beginning of a name (name=...)")
    return ", or ".join(found or ["an id (_id=...)"])


def _of_filter(found: Filter) -> Iterator[str]:
    match found:
        case Clause():
            yield from _of_clause(found)
        case Chain(parameter=parameter, targets=targets):
            if len(targets) >= _MANY_TARGETS:
                code, first = parameter.code, targets[0][0]
                yield f"{code} is followed to {len(targets)} resource types; name the one you mean: {code}:{first}..."
            if not is_selective(found):
                yield f"What is asked of {parameter.code} matches many; ask for an identifier, a code or a name."
            for _, part in targets[:1]:
                yield from _of_filter(part)
        case Has(parameter=parameter, filter=part):
            if not is_selective(part):
                name = f"_has:{parameter.resource_type}:{parameter.code}"
                yield f"The condition of {name} matches many; ask for a code or a time of up to a month there."
            yield from _of_filter(part)
        case Combination(parts=parts):
            for part in parts:
                yield from _of_filter(part)
        case Negation(part=part):
            yield "What is negated finds no rows in an index; it needs another condition beside it that does."
            yield from _of_filter(part)


def _of_clause(clause: Clause) -> Iterator[str]:
    code, modifier = clause.parameter.code, clause.modifier
    if modifier in ("contains", "ew"):
        yield f"{code}:contains reads every value of {code}; {code}=... looks up how it begins in an index."
    elif clause.parameter.type == "string" and modifier == "" and not is_selective(clause):
        yield f"One letter of {code} matches many; write more of it, or use {code}:exact."
    elif modifier in ("not", "not-in"):
        yield f"{code}:{modifier} finds no rows in an index; it needs another condition beside it that does."
    elif len(clause.codes or ()) > _MANY_CODES:
        yield f"{code}:{modifier} stands for {len(clause.codes or ())} codes; a smaller value set answers sooner."
    elif len(clause.values) > _MANY_VALUES:
        yield f"{code} has {len(clause.values)} values, each of which is looked up; ask for fewer at a time."


def _of_results(query: SearchQuery, *, wide: bool) -> Iterator[str]:
    if query.sort and wide:
        keys = ", ".join(key.parameter.code for key in query.sort)
        yield f"_sort ({keys}) has every match sorted before there is a first page; leave it out, or narrow the search."
    if query.total == "accurate":
        yield "_total=accurate counts every match; leave it out, or ask for _total=estimate."
    if query.summary == "count" or query.count == 0:
        yield "The number of all matches is counted one by one; _total=estimate with a page of results costs much less."
    if len(query.selections) >= _MANY_TYPES:
        yield f"{len(query.selections)} resource types are searched; name fewer with _type."
    for include in query.includes:
        name = "_revinclude" if include.reverse else "_include"
        if include.iterate:
            yield f"{name}:iterate follows what was included again and again; name the steps without :iterate."
        elif len(include.parameters) > 1:
            yield f"{name} follows {len(include.parameters)} references; name the one that is needed instead of *."
    if query.count > _LARGE_PAGE:
        yield f"The page has {query.count} entries; a smaller _count answers sooner."
