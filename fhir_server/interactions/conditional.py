"""Create, update, patch and delete by criteria instead of an id. https://hl7.org/fhir/R4/http.html#cond-update

The criteria are looked up inside the transaction that writes, under a lock on the criteria: of parallel conditional
creates with the same criteria one creates, and the others find what it created.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from fhir_server.errors import BadRequest, Conflict, MultipleMatches, NotFound
from fhir_server.interactions import create as create_interaction
from fhir_server.interactions import delete as delete_interaction
from fhir_server.interactions import guard, search
from fhir_server.interactions import patch as patch_interaction
from fhir_server.interactions import update as update_interaction
from fhir_server.interactions.context import NO_CONDITIONS, Conditions, Context, Response
from fhir_server.interactions.refusal import refusal
from fhir_server.interactions.search import Match
from fhir_server.interactions.write import answer, check_type, check_whole, prepare, refused
from fhir_server.r4 import json
from fhir_server.search.result_parameters import NAMES
from fhir_server.store.store import Store

_FORMATS = frozenset(("_format", "_pretty"))
_LOCKS = 512
"""Locks that all criteria of a tenant share: a transaction of any size holds no more of PostgreSQL's lock table."""

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Criteria:
    """What a conditional interaction looks for: search parameters, percent-decoded, in a canonical order."""

    resource_type: str
    pairs: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return f"{self.resource_type}?{'&'.join(f'{name}={value}' for name, value in self.pairs)}"

    @property
    def lock(self) -> str:
        """The text for Store.lock; different criteria seldom share one."""
        number = zlib.crc32(str(self).encode("utf-8", "surrogatepass")) % _LOCKS
        return f"criteria/{number}"


def criteria(resource_type: str, query: str) -> Criteria:
    """The criteria in a percent-encoded query, with or without "Type?" before it.

    Raises BadRequest where nothing is looked for, or for parameters that say how to return results.
    """
    try:
        pairs = parse_qsl(_query(query), keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        raise BadRequest("The criteria are not percent-encoded UTF-8, or more than 100.") from None
    wanted = sorted((name, _sorted(value)) for name, value in pairs if name not in _FORMATS)
    for name, _ in wanted:
        if name in NAMES or name == "_cursor":
            raise BadRequest(
                f"{name} cannot stand in criteria: they say which resource is meant, not how to return it."
            )
    if not wanted:
        raise BadRequest(f"The criteria are empty, so they would match every {resource_type}: name a search parameter.")
    return Criteria(resource_type, tuple(wanted))


def _query(text: str) -> str:
    # A "?" within a value stands behind a "="; it must not cut off what comes before it.
    before, mark, after = text.partition("?")
    return after if mark and "=" not in before else text


def _sorted(value: str) -> str:
    return value if "," not in value or "\\" in value else ",".join(sorted(value.split(",")))


def find(ctx: Context, wanted: Criteria) -> Match | None:
    """The one resource that the criteria match, out of those that the caller may search; None where there is none.

    Raises Forbidden, BadRequest for criteria that cannot be searched, MultipleMatches.
    """
    access = ctx.decide("search-type", wanted.resource_type)
    if access.nothing:
        raise refusal(ctx, "search-type", wanted.resource_type)
    found = search.matches(ctx.within(ctx.store, access), wanted.resource_type, wanted.pairs)
    if len(found) > 1:
        raise MultipleMatches(f"More than one {wanted.resource_type} matches the criteria: make them more selective.")
    return found[0] if found else None


def create(ctx: Context, resource_type: str, resource: object, if_none_exist: str) -> Response:
    """Create unless the criteria match: then the one match is answered, 200. https://hl7.org/fhir/R4/http.html#ccreate

    Raises BadRequest, Invalid, MultipleMatches, Forbidden.
    """
    wanted = criteria(resource_type, if_none_exist)
    check_type(resource, resource_type)

    def run(inner: Context, match: Match | None) -> Response:
        if match is None:
            return create_interaction.run(inner, resource_type, resource)
        return existing(inner, resource_type, match)

    return _locked(ctx, wanted, run)


def existing(ctx: Context, resource_type: str, match: Match) -> Response:
    """The answer to a conditional create that found the resource. https://hl7.org/fhir/R4/http.html#ccreate"""
    location = f"{resource_type}/{match.id}/_history/{match.version}"
    response = Response(200, None, match.version, match.last_updated, location)
    if ctx.prefer.returning == "OperationOutcome":
        issue = {"severity": "information", "code": "informational", "diagnostics": f"exists: {location}"}
        response.body = json.dumps({"resourceType": "OperationOutcome", "issue": [issue]})
    elif ctx.prefer.returning != "minimal":
        response.body = match.to_bytes()
    return response


def update(
    ctx: Context, resource_type: str, query: str, resource: object, conditions: Conditions = NO_CONDITIONS
) -> Response:
    """Update the one match, or create. https://hl7.org/fhir/R4/http.html#cond-update

    No match: created under the id in the body, or a new one. One: updated; an id in the body must be its id. Raises
    BadRequest, Invalid, MultipleMatches, Conflict (the id in the body is taken), PreconditionFailed, Forbidden.
    """
    wanted = criteria(resource_type, query)
    checked = check_type(resource, resource_type)
    check_whole(checked)
    claimed = checked.get("id")

    def run(inner: Context, match: Match | None) -> Response:
        resource_id = target_id(match, claimed)
        expect = update_interaction.expected_version(conditions)
        if expect is None:
            # What the criteria found is what is meant: not a later version, which they might not match any more.
            expect = match.version if match else 0
        write = prepare(inner, checked, resource_id, "PUT", expect)
        written = guard.put(inner, write)
        inner.phases.mark("sql")
        if written.status in ("created", "updated"):
            return answer(inner, write, written)
        if written.status == "exists" and match is None and not conditions.if_none_match:
            raise taken(resource_type, resource_id)
        if written.status == "conflict" and not conditions.if_match:
            raise _Overtaken
        raise refused(write, written)

    return _locked(ctx, wanted, run)


def target_id(match: Match | None, claimed: Any) -> str:
    """The id that a conditional update writes to, by the table of https://hl7.org/fhir/R4/http.html#cond-update

    ``claimed`` is the id in the body, if any. Raises BadRequest where it is another one than the match has.
    """
    if match is None:
        return claimed if isinstance(claimed, str) else str(create_interaction.new_id())
    if claimed is not None and claimed != match.id:
        raise BadRequest("The criteria match a resource with another id than the body has.", expression="id")
    return match.id


def taken(resource_type: str, resource_id: str) -> Conflict:
    """The error for an id in the body that belongs to a resource which the criteria do not match."""
    return Conflict(
        f"Nothing matches the criteria, and {resource_type}/{resource_id}, the id in the body, exists: "
        "it would be overwritten. Leave the id out, or correct the criteria.",
        expression="id",
    )


def patch(
    ctx: Context, resource_type: str, query: str, document: object, kind: str, conditions: Conditions = NO_CONDITIONS
) -> Response:
    """Patch the one match. https://hl7.org/fhir/R4/http.html#patch

    ``document`` and ``kind`` as in patch.run. Raises NotFound where nothing matches, MultipleMatches, and as patch.run.
    """
    wanted = criteria(resource_type, query)

    def run(inner: Context, match: Match | None) -> Response:
        if match is None:
            raise NotFound(f"No {resource_type} matches the criteria.")
        return patch_interaction.run(inner, resource_type, match.id, document, kind, conditions)

    return _locked(ctx, wanted, run)


def delete(ctx: Context, resource_type: str, query: str, conditions: Conditions = NO_CONDITIONS) -> Response:
    """Delete the one match; nothing to delete is success too, as in a delete by id. https://hl7.org/fhir/R4/http.html#3.1.0.7.1

    Raises MultipleMatches where the criteria match several: none of them is deleted.
    """
    wanted = criteria(resource_type, query)

    def run(inner: Context, match: Match | None) -> Response:
        if match is None:
            return Response(204)
        return delete_interaction.run(inner, resource_type, match.id, conditions)

    return _locked(ctx, wanted, run)


class _Overtaken(Exception):
    """Somebody wrote to the match between the look-up and the write."""


def _locked(ctx: Context, wanted: Criteria, run: Callable[[Context, Match | None], Response]) -> Response:
    """Look up and write in one transaction, while nobody else does so with the same criteria."""

    def work(store: Store) -> Response:
        inner = ctx.within(store, ctx.access)
        store.lock(wanted.lock)
        for _ in range(_ATTEMPTS):
            # A new statement each time: it sees what was committed while this one waited.
            match = find(inner, wanted)
            try:
                return run(inner, match)
            except _Overtaken:
                continue
        raise Conflict(f"{wanted.resource_type} is being changed by others; try again.", headers=[("Retry-After", "1")])

    return ctx.store.transaction(work)
