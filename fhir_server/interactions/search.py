"""The search interaction: a searchset Bundle as bytes, a page at a time. https://hl7.org/fhir/R4/http.html#search

Stored bodies are joined into the Bundle as PostgreSQL prints them; only _summary and _elements have them parsed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, urlencode

from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import BadRequest, Issue
from fhir_server.interactions.context import Context, Response
from fhir_server.r4 import json
from fhir_server.r4.compose import compose
from fhir_server.r4.subset import subset
from fhir_server.search import compile as compiler
from fhir_server.search.cursor import BEGINNING, Binding, Continuation, CursorSealer, Position
from fhir_server.search.parse import parse
from fhir_server.search.query import SearchQuery

Pairs = Sequence[tuple[str, str]]


class Match(NamedTuple):
    """One resource that a search found. ``values`` are its sort values, ``meta`` and ``body`` JSON as stored."""

    rid: int
    id: str
    version: int
    last_updated: int
    meta: bytes | None
    body: bytes
    values: tuple[int | str | None, ...]

    def to_bytes(self, resource_type: str) -> bytes:
        """The resource as JSON."""
        return compose(resource_type, self.id, self.version, self.last_updated, self.meta, self.body)


def run(ctx: Context, resource_type: str, pairs: Pairs) -> Response:
    """Search one resource type and answer one page. https://hl7.org/fhir/R4/search.html

    ``pairs`` are the percent-decoded parameters of the URL and of the form, or a ``_cursor`` alone. Raises BadRequest.
    """
    binding = Binding(ctx.tenant.id, resource_type, f"{ctx.principal.client_id}\0{ctx.principal.subject}")
    sealer = _sealer(ctx.store.hasher)
    sealed = _sealed(pairs)
    opened = sealer.open(sealed, binding) if sealed else None
    query = parse(
        resource_type, opened.pairs if opened else pairs, lenient=ctx.prefer.lenient, limits=ctx.limits.search
    )
    query = _own_references(query, ctx.base_url)
    counted = query.summary == "count" or query.count == 0
    position = opened.position if opened and opened.position != BEGINNING else None
    matches = [] if counted else _page(ctx, query, position)
    more = len(matches) > query.count
    del matches[query.count :]
    total = opened.total if opened and opened.total is not None else _total(ctx, query, matches, more, opened is None)
    applied = applied_pairs(query)
    links = [("self", f"{resource_type}?_cursor={sealed}" if sealed else _url(resource_type, applied))]
    if more:
        last = matches[-1]
        continuation = Continuation(applied, Position(last.values, last.rid), total)
        links.append(("next", f"{resource_type}?_cursor={sealer.seal(continuation, binding)}"))
    if sealed:
        # Sealed as well: what was POSTed to keep it out of URLs must not come back as one to be followed.
        beginning = Continuation(applied, BEGINNING, total)
        links.append(("first", f"{resource_type}?_cursor={sealer.seal(beginning, binding)}"))
    body = _bundle(ctx.base_url, query, matches, links, total)
    ctx.phases.mark("serialise")
    return Response(200, body)


def matches(ctx: Context, resource_type: str, pairs: Pairs, most: int = 2) -> list[Match]:
    """The first ``most`` resources that meet the criteria of a conditional interaction, always handled strictly.

    https://hl7.org/fhir/R4/http.html#ccreate. Raises BadRequest, also for criteria that name no search parameter: they
    would match everything.
    """
    query = _own_references(parse(resource_type, pairs), ctx.base_url)
    if not query.clauses:
        raise BadRequest(f"The criteria name no search parameter, so they would match every {resource_type}.")
    return _page(ctx, replace(query, count=most - 1, sort=()), None)


def _own_references(query: SearchQuery, base_url: str) -> SearchQuery:
    """The query with references below the base read as the relative ones that the index holds of them, too.

    https://hl7.org/fhir/R4/search.html#reference
    """
    own = base_url + "/"
    if not any(value.startswith(own) for clause in query.clauses for value in clause.values):
        return query
    clauses = []
    for clause in query.clauses:
        if clause.parameter.type == "reference":
            relative = [value.removeprefix(own) for value in clause.values if value.startswith(own)]
            clause = replace(clause, values=(*clause.values, *relative))
        clauses.append(clause)
    return replace(query, clauses=tuple(clauses))


@lru_cache(maxsize=8)
def _sealer(hasher: Hasher) -> CursorSealer:
    return CursorSealer.from_hasher(hasher)


def _sealed(pairs: Pairs) -> str:
    """The cursor, if the request is for a later page; it brings every parameter but those of the answer's format."""
    sealed = [value for name, value in pairs if name == "_cursor"]
    if not sealed:
        return ""
    others = sorted({name for name, _ in pairs} - {"_cursor", "_format", "_pretty"})
    if others or len(sealed) > 1:
        raise BadRequest(
            "A _cursor stands alone: follow the next link as it was given. To change "
            f"{' or '.join(others)[:80] or 'the page'}, run the search again from its first page."
        )
    return sealed[0]


def _page(ctx: Context, query: SearchQuery, position: Position | None) -> list[Match]:
    """The matches after the position, one more than the page takes if there is one."""
    store = ctx.store
    compiled = compiler.compile(query, ctx.access, store.tenant_id, store.hasher, position)
    ctx.phases.mark("compile")
    if not compiled.sql:
        return []
    result = store.search(compiled.sql, compiled.values)
    ctx.phases.mark("sql")
    get, width = result.get_value, len(compiler.COLUMNS)
    casts = tuple(enumerate(compiled.sort_casts, start=width))
    return [
        Match(
            int(get(row, 0) or 0),
            (get(row, 1) or b"").decode(),
            int(get(row, 2) or 0),
            int(get(row, 3) or 0),
            get(row, 4),
            get(row, 5) or b"{}",
            tuple(_sort_value(get(row, column), cast) for column, cast in casts),
        )
        for row in range(result.ntuples)
    ]


def _sort_value(cell: bytes | None, cast: str) -> int | str | None:
    if cell is None:
        return None
    return int(cell) if cast == "bigint" else cell.decode()


def _total(ctx: Context, query: SearchQuery, matches: Sequence[Match], more: bool, first: bool) -> int | None:
    """How many matches there are, if that was asked for or costs nothing. https://hl7.org/fhir/R4/search.html#total"""
    counted = query.summary == "count" or query.count == 0
    if first and not more and not counted:
        return len(matches)
    if query.total == "none" and not counted:
        return None
    estimate = query.total == "estimate"
    store = ctx.store
    compiled = compiler.compile_total(query, ctx.access, store.tenant_id, store.hasher, estimate=estimate)
    ctx.phases.mark("compile")
    if not compiled.sql:
        return 0
    cell = store.search(compiled.sql, compiled.values).get_value(0, 0) or b"0"
    ctx.phases.mark("sql")
    # The planner's guess at the rows that the statement gives. https://www.postgresql.org/docs/current/using-explain.html
    return max(int(json.parse(cell)[0]["Plan"]["Plan Rows"]), len(matches)) if estimate else int(cell)


def applied_pairs(query: SearchQuery) -> tuple[tuple[str, str], ...]:
    """The parameters as they were applied, in a fixed order: what was left out or capped shows.

    https://hl7.org/fhir/R4/search.html#conformance
    """
    pairs = [(name, value) for name, _, value in (clause.text.partition("=") for clause in query.clauses)]
    if query.sort:
        pairs.append(("_sort", ",".join(f"-{code}" if descending else code for code, descending in query.sort)))
    if query.total != "none":
        pairs.append(("_total", query.total))
    if query.summary:
        pairs.append(("_summary", query.summary))
    if query.elements:
        pairs.append(("_elements", ",".join(query.elements)))
    pairs.append(("_count", str(query.count)))
    return tuple(pairs)


def _url(resource_type: str, pairs: Pairs) -> str:
    return f"{resource_type}?{urlencode(pairs, quote_via=quote, safe='/:,$')}"


def _bundle(
    base_url: str, query: SearchQuery, matches: Sequence[Match], links: Iterable[tuple[str, str]], total: int | None
) -> bytes:
    """The searchset Bundle. https://hl7.org/fhir/R4/bundle.html#searchset"""
    parts = [b'{"resourceType":"Bundle","type":"searchset"']
    if total is not None:
        parts.append(b',"total":%d' % total)
    link = [{"relation": relation, "url": f"{base_url}/{url}"} for relation, url in links]
    parts.append(b',"link":' + json.dumps(link))
    entries = list(_entries(base_url, query, matches))
    if query.ignored:
        entries.append(_outcome(query.ignored))
    if entries:
        parts.append(b',"entry":[' + b",".join(entries) + b"]")
    parts.append(b"}")
    return b"".join(parts)


def _entries(base_url: str, query: SearchQuery, matches: Iterable[Match]) -> Iterable[bytes]:
    # An id has no character that JSON or a URL would escape: https://hl7.org/fhir/R4/datatypes.html#id
    start = b'{"fullUrl":' + json.dumps(f"{base_url}/{query.resource_type}/")[:-1]
    whole = not query.elements and query.summary in ("", "false", "count")
    for match in matches:
        resource = match.to_bytes(query.resource_type)
        if not whole:
            resource = json.dumps(subset(json.parse(resource), summary=query.summary, elements=query.elements))
        yield start + match.id.encode() + b'","resource":' + resource + b',"search":{"mode":"match"}}'


def _outcome(ignored: Sequence[str]) -> bytes:
    """The entry that says what was left out. https://hl7.org/fhir/R4/search.html#errors"""
    issues = [Issue("warning", "not-supported", f"Left out of this search: {text}").to_json() for text in ignored]
    outcome = json.dumps({"resourceType": "OperationOutcome", "issue": issues})
    return b'{"resource":' + outcome + b',"search":{"mode":"outcome"}}'
