"""The search interaction: on one type, on several, and within a compartment, a page at a time.

https://hl7.org/fhir/R4/http.html#search
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial

from fhir_server.errors import BadRequest, NotFound
from fhir_server.interactions import audit_events, masked_search, search_page
from fhir_server.interactions.context import Context, Response
from fhir_server.interactions.paging import binding_of, sealed_cursor, sealer_of
from fhir_server.interactions.search_bundle import Pairs, applied_pairs, bundle, url
from fhir_server.interactions.search_page import Match
from fhir_server.interactions.value_sets import resolve_query
from fhir_server.r4 import definitions
from fhir_server.search import result_parameters
from fhir_server.search.cursor import BEGINNING, Continuation, Position
from fhir_server.search.filters import owner_parameters
from fhir_server.search.parse import parse, parse_types
from fhir_server.search.parse_include import is_include
from fhir_server.search.query import Clause, InCompartment, SearchQuery, with_clauses
from fhir_server.search.suggest import nearest, refusal, shown

__all__ = ["Match", "Pairs", "continued_pairs", "matches", "prepared", "run", "run_compartment", "run_system"]


_INCOMPLETE = (
    "The index is being brought up to date after an upgrade of the server: until then some resources may not be found. "
    "[base]/$reindex-status tells how far it has come."
)


@dataclass(frozen=True, slots=True)
class _Scope:
    """What is searched: the ``path`` of its URL below the base, the ``types``, and the compartment's owner or ""."""

    path: str
    types: tuple[str, ...]
    owner: str = ""


def run(ctx: Context, resource_type: str, pairs: Pairs) -> Response:
    """Search one resource type and answer one page. https://hl7.org/fhir/R4/search.html

    ``pairs`` are the percent-decoded parameters of the URL and of the form, or a ``_cursor`` alone. Raises BadRequest.
    """
    scope = _Scope(resource_type, (resource_type,))
    if resource_type == audit_events.TYPE:
        merged = audit_events.search(ctx, pairs, partial(parsed, ctx, resource_type))
        if merged is not None:
            return merged
    return _run(ctx, scope, pairs)


def parsed(ctx: Context, resource_type: str, pairs: Pairs) -> SearchQuery:
    """The query of a search on one type, as `run` runs it. Raises BadRequest."""
    return _parsed(ctx, _Scope(resource_type, (resource_type,)), pairs)


def run_system(ctx: Context, pairs: Pairs) -> Response:
    """Search several resource types, those in ``_type`` or all. https://hl7.org/fhir/R4/http.html#search"""
    return _run(ctx, _Scope("", ()), pairs)


def run_compartment(ctx: Context, compartment: str, owner_id: str, resource_type: str, pairs: Pairs) -> Response:
    """Search what belongs to one resource: ``Patient/123/Observation``, or ``Patient/123/*`` for all types.

    https://hl7.org/fhir/R4/http.html#vsearch. Raises NotFound where there is no such compartment.
    """
    compartments = definitions.load().compartments
    members = compartments.get(compartment)
    if members is None:
        raise NotFound(
            f"{compartment} has no compartment; {', '.join(sorted(compartments))} have one.", code="not-supported"
        )
    types = tuple(name for name, codes in members.items() if codes) if resource_type == "*" else (resource_type,)
    if not members.get(resource_type) and resource_type != "*":
        raise NotFound(
            f"{resource_type} does not belong to the compartment of a {compartment}; [base]/{compartment}/[id]/* "
            "searches all types that do.",
            code="not-supported",
        )
    return _run(ctx, _Scope(f"{compartment}/{owner_id}/{resource_type}", types, f"{compartment}/{owner_id}"), pairs)


def matches(ctx: Context, resource_type: str, pairs: Pairs, most: int = 2) -> list[Match]:
    """The first ``most`` resources that meet the criteria of a conditional interaction, always handled strictly.

    https://hl7.org/fhir/R4/http.html#ccreate. Raises BadRequest, also for criteria that name no search parameter: they
    would match everything.
    """
    query = prepared(ctx, parse(resource_type, pairs, registry=ctx.registry))
    if not query.filters:
        raise BadRequest(f"The criteria name no search parameter, so they would match every {resource_type}.")
    selections = tuple(replace(one, sort=()) for one in query.selections)
    return search_page.fetch(ctx, replace(query, count=most - 1, selections=selections), None)[:most]


def continued_pairs(ctx: Context, resource_type: str, cursor: str) -> tuple[tuple[str, str], ...]:
    """The parameters of the search on one type that a cursor goes on with. Raises BadRequest as a search does."""
    return sealer_of(ctx.store.hasher).open(cursor, binding_of(ctx, resource_type)).pairs


def _run(ctx: Context, scope: _Scope, pairs: Pairs) -> Response:
    binding = binding_of(ctx, scope.path)
    sealer = sealer_of(ctx.store.hasher)
    sealed = sealed_cursor(pairs)
    opened = sealer.open(sealed, binding) if sealed else None
    query = _parsed(ctx, scope, opened.pairs if opened else pairs)
    counted = query.summary == "count" or query.count == 0
    position = opened.position if opened and opened.position != BEGINNING else None
    found = [] if counted else search_page.fetch(ctx, query, position)
    more = len(found) > query.count
    del found[query.count :]
    if position is not None and position.backward:
        found.reverse()
    total = _total(ctx, query, found, more=more, counted=counted) if opened is None else opened.total
    applied = applied_pairs(query)
    links = [("self", f"{scope.path}?_cursor={sealed}" if sealed else url(scope.path, applied))]

    def link(relation: str, place: Position) -> None:
        links.append((relation, f"{scope.path}?_cursor={sealer.seal(Continuation(applied, place, total), binding)}"))

    if sealed:
        # Sealed as well: what was POSTed to keep it out of URLs must not come back as one to be followed.
        link("first", BEGINNING)
    backward = position is not None and position.backward
    if found and (more if backward else position is not None):
        link("previous", Position(found[0].values, found[0].rid, backward=True))
    if found and (more or backward):
        link("next", Position(found[-1].values, found[-1].rid))
    included, warnings = search_page.included(ctx, query, found)
    search_page.disclose(ctx, (*found, *included))
    ignored = [f"Left out of this search: {text}" for text in query.ignored]
    if ctx.registry.incomplete:
        ignored.append(_INCOMPLETE)
    body = bundle(ctx.base_url, query, links, total, found, included, [*ignored, *warnings])
    ctx.phases.mark("serialise")
    return Response(200, body)


def _total(ctx: Context, query: SearchQuery, found: Sequence[Match], *, more: bool, counted: bool) -> int | None:
    """How many matches there are, if that was asked for or costs nothing. https://hl7.org/fhir/R4/search.html#total"""
    if not more and not counted:
        return len(found)
    if query.total == "none" and not counted:
        return None
    return search_page.count(ctx, query, at_least=len(found))


def _parsed(ctx: Context, scope: _Scope, pairs: Pairs) -> SearchQuery:
    """The query of the parameters, and of the URL that they were sent to."""
    types, named = scope.types, ""
    if not scope.path or scope.path.endswith("/*"):
        named = _named_types(pairs)
        pairs = [pair for pair in pairs if pair[0] != "_type"]
        types = _chosen(ctx, scope, named)
        if not scope.path and not named:
            _check_common(pairs)
    query = parse_types(
        types, pairs, lenient=ctx.prefer.lenient, limits=ctx.limits.search, registry=ctx.registry, types=named
    )
    if scope.owner and query.contained != "false":
        raise BadRequest("_contained cannot be combined with a compartment.", code="not-supported")
    if scope.owner:
        query = _within(ctx, query, scope.owner)
    return prepared(ctx, query)


def prepared(ctx: Context, query: SearchQuery) -> SearchQuery:
    """The query with all that depends on this server filled in."""
    return resolve_query(ctx, _own_references(masked_search.searchable(ctx, query), ctx.base_url))


def _within(ctx: Context, query: SearchQuery, owner: str) -> SearchQuery:
    compartment = owner.partition("/")[0]
    selections = []
    for one in query.selections:
        known = ctx.registry.parameters(one.resource_type)
        member = InCompartment(owner, owner_parameters(compartment, one.resource_type, known), "")
        selections.append(replace(one, filters=(member, *one.filters)))
    return replace(query, selections=tuple(selections))


def _named_types(pairs: Pairs) -> str:
    named = [value for name, value in pairs if name == "_type"]
    if len(set(named)) > 1:
        raise BadRequest("_type is given twice; name all types in one, with commas between: _type=Patient,Encounter.")
    return named[0] if named else ""


def _chosen(ctx: Context, scope: _Scope, named: str) -> tuple[str, ...]:
    """The types to search: those named, or else all that the tenant has resources of."""
    known = scope.types or definitions.load().resource_types
    if not named:
        # Types that there is nothing of need no looking at; where there is nothing at all, any type says so.
        present = ctx.store.present_types()
        return tuple(name for name in known if name in present) or known[:1]
    types = tuple(dict.fromkeys(named.split(",")))
    for one in types:
        if one not in known:
            where = "of the compartment" if scope.types else "of FHIR R4"
            close = nearest(one, known)
            near = f" Did you mean {close[0]!r}?" if close else ""
            raise BadRequest(f"{shown(one)} in _type is no resource type {where}.{near}")
    return types


_COMMON = ("_text", "_list", "_in")


def _check_common(pairs: Pairs) -> None:
    """Without _type a parameter that only some types have would depend on what there happens to be."""
    known = {*_common_codes(), *_COMMON, *result_parameters.NAMES, "_cursor"}
    for name, _ in pairs:
        code = name.partition(":")[0]
        if code not in known and not is_include(name):
            valid = sorted({*_common_codes(), *_COMMON})
            raise BadRequest(
                f"{shown(name)} is not a parameter of all resource types: name the types, _type=Patient,Encounter."
                + refusal("parameters of all types", code, valid),
                code="not-supported",
            )


@lru_cache(maxsize=1)
def _common_codes() -> frozenset[str]:
    """The codes of the parameters that every resource type has. https://hl7.org/fhir/R4/search.html#all"""
    return frozenset(
        p.code for p in definitions.load().search_parameters if "Resource" in p.bases and p.code != "_query"
    )


def _own_references(query: SearchQuery, base_url: str) -> SearchQuery:
    """The query with references below the base read as the relative ones that the index holds of them, too.

    https://hl7.org/fhir/R4/search.html#reference
    """
    own = base_url + "/"

    def relative(clause: Clause) -> Clause:
        if clause.parameter.type != "reference" or not any(value.startswith(own) for value in clause.values):
            return clause
        values = [value.removeprefix(own) for value in clause.values if value.startswith(own)]
        return replace(clause, values=(*clause.values, *values))

    return with_clauses(query, relative)
