"""How many there are, for those who may count what they may not see. docs/access.md, "Counts"

A count must not tell of one person: few are not told at all, more are rounded down, and only what says nothing of who
somebody is can be counted by. https://www.ecfr.gov/current/title-45/section-164.514#p-164.514(b)
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from fhir_server.interactions import search_page
from fhir_server.interactions.context import Context, Response
from fhir_server.interactions.refusal import refused
from fhir_server.interactions.search import prepared
from fhir_server.interactions.search_bundle import applied_pairs, bundle, url
from fhir_server.search.parse import parse
from fhir_server.search.query import Clause, SearchQuery

FEWEST = 11
"""What is fewer is not told. https://resdac.org/articles/cms-cell-size-suppression-policy"""

ROUNDED = 10
"""Counts are told in tens, so that two of them do not tell of the one by whom they differ."""

_YEAR = re.compile(r"(?:eq|ne|gt|lt|ge|le|sa|eb)?[0-9]{4}")
_TELLING = frozenset(("identifier", "_id", "email", "phone", "telecom", "_tag", "_security", "_source"))


def wanted(ctx: Context, resource_type: str, pairs: Sequence[tuple[str, str]]) -> bool:
    """Whether this search is a count by somebody who may count and may not see."""
    if ("_summary", "count") not in pairs:
        return False
    return ctx.decide("search-type", resource_type).nothing and not ctx.decide("count", resource_type).nothing


def run(ctx: Context, resource_type: str, pairs: Sequence[tuple[str, str]]) -> Response:
    """The total of a search, in tens; nothing of what it found. Raises Forbidden, BadRequest."""
    query = prepared(ctx, parse(resource_type, pairs, registry=ctx.registry))
    _check(ctx, query)
    found = search_page.count(ctx, query)
    few = found < FEWEST
    total = None if few else found - found % ROUNDED
    said = (
        f"Fewer than {FEWEST}: how many is not told, for it could tell of one person."
        if few
        else (f"The total is rounded down to a multiple of {ROUNDED}.")
    )
    links = [("self", url(resource_type, applied_pairs(query)))]
    return Response(200, bundle(ctx.base_url, query, links, total, (), (), [said]))


def _check(ctx: Context, query: SearchQuery) -> None:
    """Refuse whatever could single somebody out."""
    if query.total == "estimate" or query.includes or query.sort or query.contained != "false":
        raise _refused(ctx, "A count takes no _total=estimate, includes, _sort or _contained.")
    for one in query.filters:
        if not isinstance(one, Clause) or one.modifier not in ("", "not"):
            raise _refused(ctx, "A count takes parameters of the type itself, without chains, _has and modifiers.")
        parameter = one.parameter
        if parameter.type == "token" and parameter.code not in _TELLING and parameter.expression:
            continue
        if parameter.type == "date" and all(_YEAR.fullmatch(value) for value in one.values):
            continue
        raise _refused(
            ctx, f"{parameter.code} could tell of one person; counts go by codes, and by dates in whole years."
        )


def _refused(ctx: Context, sentence: str) -> Exception:
    return refused(ctx, sentence, "permission")
