"""$lastn: the latest observations of each kind. https://hl7.org/fhir/R4/observation-operation-lastn.html

Two observations of one subject are of one kind where their codes share a coding (system and code), or where both are
the same text without any coding; and what is of one kind with a third is of one kind. docs/lastn.md
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from fhir_server.errors import BadRequest, Forbidden
from fhir_server.interactions.context import Context, Response
from fhir_server.interactions.operation_parameters import pairs_of
from fhir_server.interactions.search import prepared
from fhir_server.interactions.search_page import joined_access
from fhir_server.operations.operation import Operation
from fhir_server.r4 import json
from fhir_server.r4.compose import compose
from fhir_server.search import last, result_parameters
from fhir_server.search.matching import matches as matches_of
from fhir_server.search.parse import parse
from fhir_server.search.parse_include import is_include
from fhir_server.search.query import Chain, Clause, Filter, SearchQuery
from fhir_server.search.suggest import shown

MOST_ENTRIES = 2_000
"""Observations of one answer; it has no pages, so more is refused rather than cut."""
_SUBJECTS = ("patient", "subject")

Pairs = Sequence[tuple[str, str]]


class _Observation(NamedTuple):
    rid: int
    id: str
    subject: str
    date: int | None
    codes: tuple[tuple[str, str], ...]
    resource: bytes


def run(ctx: Context, scope: Sequence[str], pairs: list[tuple[str, str]], body: object) -> Response:
    """Answer a searchset: by subject, then by kind, newest first. Raises BadRequest, Forbidden.

    ``max`` is how many of each kind, 1 unless told; every other parameter is a search parameter of Observation; one of
    ``patient`` or ``subject`` is required.
    """
    access = ctx.decide("search-type", "Observation")
    if access.nothing:
        raise Forbidden(
            "The access_token does not permit search-type on Observation; the scope system/Observation.s would."
        )
    most, criteria = _most(pairs_of("$lastn", pairs, body))
    ctx = ctx.within(ctx.store, access)
    query = parse("Observation", criteria, limits=ctx.limits.search, registry=ctx.registry)
    _check_subject(query)
    store = ctx.store
    matches, sql = matches_of(
        prepared(ctx, query), store.in_force(access.visible), store.tenant_id, store.hasher, joined_access(ctx)
    )
    ctx.phases.mark("compile")
    found: list[_Observation] = []
    if matches:
        result = store.search(last.latest(matches, sql, most, MOST_ENTRIES + 1), sql.values)
        if result.ntuples > MOST_ENTRIES:
            raise BadRequest(
                f"There are more than {MOST_ENTRIES} latest observations; name fewer patients, a category or codes, "
                "or a smaller max.",
                code="too-costly",
            )
        found = [_observation(result, row) for row in range(result.ntuples)]
    ctx.phases.mark("sql")
    applied = [*criteria, ("max", str(most))]
    response = Response(200, _bundle(ctx.base_url, applied, newest(found, most)))
    ctx.phases.mark("serialise")
    return response


def _most(pairs: list[tuple[str, str]]) -> tuple[int, list[tuple[str, str]]]:
    given = [value for name, value in pairs if name == "max"]
    criteria = [(name, value) for name, value in pairs if name != "max"]
    for name, _ in criteria:
        if name in result_parameters.NAMES or is_include(name):
            raise BadRequest(
                f"$lastn does not take {shown(name)}: its answer is one Bundle, ordered by kind and then newest first.",
                code="not-supported",
            )
    if not given:
        return 1, criteria
    value = given[0]
    if len(given) > 1 or not (value.isascii() and value.isdigit()) or not int(value[:9]):
        raise BadRequest(f"max={shown(value)} is no whole number from 1; write it once, such as max=3.")
    return int(value[:9]), criteria


def _check_subject(query: SearchQuery) -> None:
    if not any(_names_subject(one) for one in query.filters):
        raise BadRequest(
            "$lastn needs the patient or the subject whose observations are wanted, such as patient=123.",
            code="required",
        )


def _names_subject(found: Filter) -> bool:
    if isinstance(found, Clause):
        return found.parameter.code in _SUBJECTS and found.modifier != "missing"
    return isinstance(found, Chain) and found.parameter.code in _SUBJECTS


def _observation(result: Any, row: int) -> _Observation:
    get = result.get_value
    identity = (get(row, 1) or b"").decode()
    resource = compose(
        "Observation", identity, int(get(row, 2) or 0), int(get(row, 3) or 0), get(row, 4), get(row, 5) or b"{}"
    )
    date = get(row, 8)
    codes = _codes(json.parse(get(row, 7) or b"{}"))
    return _Observation(
        int(get(row, 0) or 0),
        identity,
        (get(row, 6) or b"").decode(),
        None if date is None else int(date),
        codes,
        resource,
    )


def _codes(concept: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """What a CodeableConcept is known by: each (system, code), or its text alone."""
    codings = [(c.get("system", ""), c["code"]) for c in concept.get("coding", ()) if c and c.get("code")]
    return tuple(codings) or (("text:", concept.get("text", "").strip().casefold()),)


def newest(found: Sequence[_Observation], most: int) -> list[_Observation]:
    """The ``most`` newest of each subject and kind, and those as old as the last of them."""
    groups: dict[tuple[str, tuple[str, str]], list[_Observation]] = {}
    kinds = _kinds(observation.codes for observation in found)
    for observation in found:
        groups.setdefault((observation.subject, kinds[observation.codes[0]]), []).append(observation)
    chosen: list[_Observation] = []
    for _, group in sorted(groups.items()):
        group.sort(key=lambda o: (o.date is None, -(o.date or 0), -o.rid))
        last_date = group[min(most, len(group)) - 1].date
        chosen += group[:most]
        chosen += (observation for observation in group[most:] if observation.date == last_date)
    return chosen


def _kinds(concepts: Iterable[tuple[tuple[str, str], ...]]) -> dict[tuple[str, str], tuple[str, str]]:
    """For each code one that stands for all that are joined to it by concepts: union-find.

    https://en.wikipedia.org/wiki/Disjoint-set_data_structure
    """
    parents: dict[tuple[str, str], tuple[str, str]] = {}

    def find(code: tuple[str, str]) -> tuple[str, str]:
        parents.setdefault(code, code)
        while parents[code] != code:
            parents[code] = parents[parents[code]]
            code = parents[code]
        return code

    for codes in set(concepts):
        for code in codes:
            # The least code stands for all, whatever the order in which they come.
            low, high = sorted((find(codes[0]), find(code)))
            parents[high] = low
    return {code: find(code) for code in list(parents)}


def _bundle(base_url: str, applied: Pairs, chosen: Sequence[_Observation]) -> bytes:
    """https://hl7.org/fhir/R4/bundle.html#searchset"""
    url = f"{base_url}/Observation/$lastn?{urlencode(applied, quote_via=quote, safe='/:,$')}"
    link = json.dumps([{"relation": "self", "url": url}])
    head = b'{"resourceType":"Bundle","type":"searchset","total":%d,"link":%b' % (len(chosen), link)
    if not chosen:
        return head + b"}"
    start = b'{"fullUrl":' + json.dumps(f"{base_url}/Observation/")[:-1]
    entries = (start + o.id.encode() + b'","resource":' + o.resource + b',"search":{"mode":"match"}}' for o in chosen)
    return head + b',"entry":[' + b",".join(entries) + b"]}"


_DEFINITION = "http://hl7.org/fhir/OperationDefinition/Observation-lastn"

OPERATION = Operation("lastn", _DEFINITION, ("type",), run, {"Observation": _DEFINITION}, needs=("search-type",))
