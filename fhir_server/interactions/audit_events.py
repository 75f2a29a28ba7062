"""AuditEvents: the records of the audit trail, and beside them those that clients have written, as one type.
docs/audit.md, "Searching"

A search merges both, newest first: each side goes on behind its own last row, and the cursor holds both places.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from heapq import merge
from typing import NamedTuple

from fhir_server.access.conditions import About
from fhir_server.access.policy import Access
from fhir_server.audit import audit_event
from fhir_server.audit import event as events
from fhir_server.errors import BadRequest, NotFound
from fhir_server.interactions import search_page
from fhir_server.interactions.context import Context, Response
from fhir_server.interactions.paging import binding_of, sealed_cursor, sealer_of
from fhir_server.interactions.search_bundle import Pairs, applied_pairs, bundle, url
from fhir_server.interactions.search_page import Match
from fhir_server.r4 import json
from fhir_server.search import audit_trail
from fhir_server.search.audit_trail import Meant
from fhir_server.search.cursor import BEGINNING, Continuation, Position
from fhir_server.search.query import SearchQuery
from fhir_server.search.sql import SqlParameters
from fhir_server.store import audit

TYPE = "AuditEvent"
RESERVED = "The ids that begin with trail- and a number are those of the server's own audit records."

_MARK = "trail"
_SORTS = ("date", "_lastUpdated")


class _Places(NamedTuple):
    """Where each side of a search has come to: the trail's last id, and the last resource as a Position."""

    trail: str = ""
    resources: Position | None = None

    def packed(self) -> Position:
        """Both as one Position, for the cursor."""
        last = self.resources
        return Position((_MARK, self.trail, *(last.values if last else ())), last.rid if last else 0)

    @classmethod
    def unpacked(cls, position: Position) -> _Places | None:
        """From a cursor's Position; None where it is of a search without the trail."""
        if position == BEGINNING:
            return cls()
        if position.values[:1] != (_MARK,):
            return None
        values = position.values[2:]
        return cls(str(position.values[1]), Position(values, position.rid) if values else None)


class Reach(NamedTuple):
    """Whose records of the trail a caller may see: ``everybody``'s, or those about the patients with these ids."""

    everybody: bool
    patients: frozenset[str] = frozenset()

    @property
    def only(self) -> frozenset[str] | None:
        """What audit_event.body() shows records to."""
        return None if self.everybody else self.patients


class _Trail(NamedTuple):
    """What of the trail a search means, and the values of its statement; ``within`` says how much of it shows."""

    meant: Meant
    sql: SqlParameters
    within: Reach


def reach(access: Access, resource_type: str = TYPE) -> Reach:
    """What a decision on a type leaves of the trail: all of it, or what is about some patients, or nothing.

    Consents have no say in it: they are about care, and a trail with gaps would be none.
    """
    rules = [rule for rule in access.visible.without_consents().rules if rule.covers(resource_type)]
    if any(not rule.conditions for rule in rules):
        return Reach(everybody=True)
    patients = set()
    for rule in rules:
        named = {one.patient if isinstance(one, About) else "" for one in rule.conditions}
        # Two patients at once, or anything beside, is nothing that a record of the trail could be known to meet.
        if len(named) == 1:
            patients |= {one.removeprefix("Patient/") for one in named if one.startswith("Patient/")}
    return Reach(everybody=False, patients=frozenset(patients))


def is_trail(resource_type: str, resource_id: str) -> bool:
    """Whether this is the id of a record of the trail, which no client may write."""
    return resource_type == TYPE and audit_event.ID.fullmatch(resource_id) is not None


def present(ctx: Context, resource_id: str) -> Response:
    """The answer to a read of a record of the trail, which never changes. Raises NotFound."""
    match = read(ctx, resource_id)
    return Response(200, match.to_bytes(), match.version, match.last_updated)


def read(ctx: Context, resource_id: str) -> Match:
    """One record of the trail. Raises NotFound."""
    sql = SqlParameters(ctx.store.tenant_id)
    found = audit_event.ID.fullmatch(resource_id)
    if found is None or int(found[1]) >= 2**63:
        raise NotFound(f"{TYPE}/{resource_id} is not known.")
    condition = f"r.seq = {sql.bind(int(found[1]), 'bigint')}"
    within = reach(ctx.access)
    meant = audit_trail.within(Meant([condition]), sql, ctx.store.hasher, within.only)
    matches = [] if meant is None else _page(ctx, _Trail(meant, sql, within), "", 1, ascending=False)
    ctx.phases.mark("sql")
    if not matches:
        raise NotFound(f"{TYPE}/{resource_id} is not known.")
    return matches[0]


def search(
    ctx: Context,
    pairs: Pairs,
    parsed: Callable[[Pairs], SearchQuery],
    path: str = TYPE,
    within: Reach | None = None,
) -> Response | None:
    """One page of both; None where no record of the trail can be meant.

    ``parsed`` makes the query of parameters, as of any other type. ``path`` is where later pages are asked for,
    ``within`` what the caller may see of the trail where the decision on AuditEvents does not say so.
    Raises BadRequest.
    """
    within = within or reach(ctx.access)
    sealed = sealed_cursor(pairs)
    binding, sealer = binding_of(ctx, path), sealer_of(ctx.store.hasher)
    opened = sealer.open(sealed, binding) if sealed else None
    query = _sorted(parsed, opened.pairs if opened else pairs)
    places = _Places.unpacked(opened.position) if opened else _Places()
    sql = SqlParameters(ctx.store.tenant_id)
    meant = None if places is None else _meant(ctx, query, sql, within)
    if meant is None or places is None:
        return None
    _check(query)
    counted = query.summary == "count" or query.count == 0
    found, places = ([], places) if counted else _both(ctx, query, _Trail(meant, sql, within), places)
    more = len(found) > query.count
    del found[query.count :]
    total = opened.total if opened else _total(ctx, query, within, len(found), more=more or counted)
    applied = applied_pairs(query)
    links = [("self", f"{path}?_cursor={sealed}" if sealed else url(path, applied))]
    if sealed:
        links.append(("first", f"{path}?_cursor={sealer.seal(Continuation(applied, BEGINNING, total), binding)}"))
    if more:
        following = Continuation(applied, places.packed(), total)
        links.append(("next", f"{path}?_cursor={sealer.seal(following, binding)}"))
    stored = [match for match in found if not is_trail(TYPE, match.id)]
    included, warnings = search_page.included(ctx, query, stored)
    body = bundle(ctx.base_url, query, links, total, found, included, [*query.ignored, *warnings])
    ctx.phases.mark("serialise")
    return Response(200, body)


def _meant(ctx: Context, query: SearchQuery, sql: SqlParameters, within: Reach) -> Meant | None:
    """The records within the caller's reach that are meant; None where there can be none."""
    hasher, only = ctx.store.hasher, within.only
    meant = audit_trail.meant(query, sql, hasher, only)
    return None if meant is None else audit_trail.within(meant, sql, hasher, only)


def _sorted(parsed: Callable[[Pairs], SearchQuery], pairs: Pairs) -> SearchQuery:
    query = parsed(pairs)
    return query if query.sort else parsed([*pairs, ("_sort", "-date")])


def _check(query: SearchQuery) -> None:
    if len(query.sort) != 1 or query.sort[0].parameter.code not in _SORTS:
        raise BadRequest("AuditEvents are sorted by date: _sort=-date or _sort=date.", code="not-supported")
    if query.contained != "false":
        raise BadRequest("_contained is not possible with AuditEvent.", code="not-supported")
    for one in query.includes:
        if not one.reverse:
            raise BadRequest(
                f"{one.text}: what the server's own audit records name cannot be included; read it by its reference.",
                code="not-supported",
            )


def _both(ctx: Context, query: SearchQuery, trail: _Trail, places: _Places) -> tuple[list[Match], _Places]:
    """The matches of both sides in order, one more than the page takes if there is one, and where the page ends."""
    descending = query.sort[0].descending
    stored = search_page.fetch(ctx, query, places.resources)
    recorded = _page(ctx, trail, places.trail, query.count + 1, ascending=not descending)
    ctx.phases.mark("sql")
    merged = list(merge(recorded, stored, key=_moment, reverse=descending))[: query.count + 1]
    for match in merged[: query.count]:
        if is_trail(TYPE, match.id):
            places = places._replace(trail=str(match.values[1]))
        else:
            places = places._replace(resources=Position(match.values, match.rid))
    return merged, places


def _moment(match: Match) -> int:
    value = match.values[0]
    return value if isinstance(value, int) else match.last_updated


def _page(ctx: Context, trail: _Trail, after: str, count: int, *, ascending: bool) -> list[Match]:
    statement = audit_trail.page(trail.meant, trail.sql, after, count, ascending=ascending)
    result = ctx.store.search(statement, trail.sql.values)
    get = result.get_value
    rows = [
        (int(get(row, 0) or 0), (get(row, 1) or b"").decode(), int(get(row, 2) or 0), events.decode(get(row, 3) or b""))
        for row in range(result.ntuples)
    ]
    keys = sorted({key for *_, event in rows for key in event.patients})
    patients = ctx.store.within(lambda c: audit.patient_ids(c, ctx.store.tenant_id, keys)) if keys else {}
    return [
        Match(
            seq,
            TYPE,
            audit_event.resource_id(seq),
            1,
            at,
            json.dumps(audit_event.meta(event)),
            json.dumps(audit_event.body(event, ctx.base_url, patients, trail.within.only)),
            (at, event_id),
        )
        for seq, event_id, at, event in rows
    ]


def _total(ctx: Context, query: SearchQuery, within: Reach, known: int, *, more: bool) -> int | None:
    """https://hl7.org/fhir/R4/search.html#total"""
    if not more:
        return known
    if query.total == "none" and query.summary != "count" and query.count != 0:
        return None
    # An estimate of two sides would be none; both are counted.
    exact = replace(query, total="accurate")
    sql = SqlParameters(ctx.store.tenant_id)
    again = _meant(ctx, query, sql, within)
    if again is None:
        return search_page.count(ctx, exact)
    result = ctx.store.search(audit_trail.total(again, sql), sql.values)
    return search_page.count(ctx, exact) + int(result.get_value(0, 0) or 0)
