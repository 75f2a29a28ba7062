"""Filters drawn at random against a plain Python evaluation over all resources. https://hl7.org/fhir/R4/search_filter.html"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import urlencode

import psycopg
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from fhir_server.app import FhirServer
from fhir_server.store import tenants
from fhir_server.store.database_urls import DatabaseUrls
from tests.functional.conftest import Api
from tests.functional.search_universe import load, walk
from tests.oracle import matching, spans
from tests.oracle.evaluate import Universe, parameter_of
from tests.oracle.pools import MOMENTS, PREFIXES
from tests.oracle.queries import Queries
from tests.oracle.query import Chain, Clause, Filter

SEED = 9
PLAIN = ("string", "date", "number")


class Written(NamedTuple):
    """A filter as text, and whether a resource, given by its key, meets it."""

    text: str
    meets: Callable[[str], bool]


@pytest.fixture(scope="module")
def world(app: FhirServer, access_token: Callable[..., str], database: DatabaseUrls) -> tuple[Api, Universe]:
    assert database.owner is not None
    with psycopg.connect(database.owner, autocommit=True) as connection:
        slug = tenants.create(connection, f"filters-{os.getpid()}").slug
        api = Api(app, slug, access_token(slug, lifetime=3600))
        universe = load(api, SEED)
        # What autovacuum does within a minute: without statistics, joins of many tables are planned blindly.
        connection.execute("ANALYZE")
    return api, universe


def leaf(resource_type: str, wanted: Filter) -> tuple[str, Clause, str]:
    """What stands before the last name of a path, the clause at its end, and the type that this is asked of."""
    if isinstance(wanted, Clause):
        return "", wanted, resource_type
    if isinstance(wanted, Chain):
        # Without a type, all that the reference may lead to have the same parameter: any of them tells its kind.
        to = wanted.to or next(t for t in parameter_of(resource_type, wanted.code).targets if _knows(t, wanted.part))
        before, clause, last = leaf(to, wanted.part)
        return f"{wanted.code}{':' if wanted.to else ''}{wanted.to}.{before}", clause, last
    before, clause, last = leaf(wanted.source, wanted.part)
    return f"_has:{wanted.source}:{wanted.code}:{before}", clause, last


def _knows(resource_type: str, wanted: Filter) -> bool:
    try:
        leaf(resource_type, wanted)[1] if isinstance(wanted, Chain) else parameter_of(resource_type, wanted.code)
    except (KeyError, StopIteration):
        return False
    return True


def with_leaf(wanted: Filter, clause: Clause) -> Filter:
    if isinstance(wanted, Clause):
        return clause
    return replace(wanted, part=with_leaf(wanted.part, clause))


def comparison(universe: Universe, resource_type: str, drawn: Filter) -> Written:
    """A filter of a query string as a test of the filter language; of several values the first alone."""
    assume(not isinstance(drawn, Chain) or drawn.to or _knows(resource_type, drawn))
    before, clause, last = leaf(resource_type, drawn)
    # Membership of a list has no operator of the filter language.
    assume(clause.code not in ("_list", "_in"))
    kind = parameter_of(last, clause.code).kind
    value, modifier, operator, negated = clause.values[0], clause.modifier, "eq", False
    # Any other value of a boolean is refused.
    booleans = [path.endswith(":boolean") for path in parameter_of(last, clause.code).paths]
    assume(value in ("true", "false") or not booleans or not all(booleans))
    wanted = with_leaf(drawn, replace(clause, values=(value,)))
    name = clause.code
    if modifier == "missing":
        operator, negated = "pr", value == "true"
        wanted = with_leaf(drawn, Clause(clause.code, "missing", ("false",)))
        value = "false" if negated else "true"
    elif modifier == "not":
        operator, negated = "ne", True
        wanted = with_leaf(drawn, Clause(clause.code, "", (value,)))
    elif kind == "string" and modifier in ("", "contains"):
        operator = "co" if modifier else "sw"
    elif kind in ("date", "number", "quantity") and value[:2] in PREFIXES:
        operator, value = value[:2], value[2:]
    elif kind == "reference" and not modifier:
        operator = "re"
    elif modifier:
        # Not every URI has others above it; that is for tests of the modifiers.
        assume(modifier not in ("above", "below"))
        name += f":{modifier}"
    if kind in PLAIN and name == clause.code:
        value = matching.plain(value)
    return Written(f"{before}{name} {operator} {quoted(value)}", lambda key: universe.meets(key, wanted) != negated)


def quoted(value: str) -> str:
    """A value in the shortest form that a filter takes."""
    bare = value and not any(character.isspace() or character in ')]"' for character in value)
    return value if bare else json.dumps(value)


@st.composite
def filters(draw: st.DrawFn, queries: Queries, resource_type: str, witness: str, depth: int = 2) -> Written:
    universe = queries.universe
    kind = draw(st.sampled_from(["test", "test", "and", "or", "not", "brackets"])) if depth else "test"
    if kind in ("and", "or"):
        smaller = filters(queries, resource_type, witness, depth - 1)
        parts = draw(st.lists(smaller, min_size=2, max_size=3))
        met = all if kind == "and" else any
        return Written(f" {kind} ".join(f"({one.text})" for one in parts), lambda key: met(p.meets(key) for p in parts))
    if kind == "not":
        part = draw(filters(queries, resource_type, witness, depth - 1))
        return Written(f"not ({part.text})", lambda key: not part.meets(key))
    edges = [(code, other) for code in queries.references[resource_type] for other in universe.referred(witness, code)]
    if kind == "brackets" and edges:
        code, other = draw(st.sampled_from(edges))
        to = other.partition("/")[0]
        inside = draw(filters(queries, to, other, depth - 1))
        behind = comparison(universe, to, draw(queries.clause(to, other)))
        return Written(
            f"{code}:{to}[{inside.text}].{behind.text}",
            lambda key: any(
                inside.meets(one) and behind.meets(one)
                for one in universe.referred(key, code)
                if one.partition("/")[0] == to
            ),
        )
    return comparison(universe, resource_type, draw(queries.filter(resource_type, 1, witness)))


def test_finds_what_plain_python_finds(world: tuple[Api, Universe]) -> None:
    api, universe = world
    queries = Queries(universe)
    sizes = []

    @settings(max_examples=150, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def every(data: st.DataObject) -> None:
        resource_type = data.draw(queries.types())
        keys = universe.of_type(resource_type)
        drawn = data.draw(filters(queries, resource_type, data.draw(st.sampled_from(keys))))
        expected = {key for key in keys if drawn.meets(key)}
        path = f"{resource_type}?{urlencode({'_filter': drawn.text, '_count': 40})}"
        found = [key for page in walk(api, path) for key in page.keys("match")]
        assert len(found) == len(set(found))
        assert set(found) == expected
        sizes.append(len(expected) / len(keys))

    every()
    # Searches that find nothing, or everything, would show little.
    assert sum(0 < share < 1 for share in sizes) > len(sizes) / 3


@pytest.mark.parametrize("operator", ["eq", "ew", "gt", "ge", "lt", "le"])
def test_the_operators_that_only_a_filter_has(world: tuple[Api, Universe], operator: str) -> None:
    api, universe = world
    compared: dict[str, Callable[[str, str], bool]] = {
        "eq": str.__eq__, "ew": str.endswith, "gt": str.__gt__, "ge": str.__ge__, "lt": str.__lt__, "le": str.__le__,
    }  # fmt: skip
    texts = {
        key: [matching.folded(text) for one in universe.found(key, "name") for text in matching.texts(one)]
        for key in universe.of_type("Patient")
    }
    for wanted in sorted({text for found in texts.values() for text in found})[::5]:
        path = f"Patient?{urlencode({'_filter': f'name {operator} {quoted(wanted)}', '_count': 1000})}"
        found = {key for page in walk(api, path) for key in page.keys("match")}
        assert found == {key for key, own in texts.items() if any(compared[operator](one, wanted) for one in own)}


@pytest.mark.parametrize(
    ("resource_type", "code"), [("Encounter", "date"), ("Observation", "date"), ("Patient", "birthdate")]
)
def test_periods_that_overlap(world: tuple[Api, Universe], resource_type: str, code: str) -> None:
    api, universe = world

    def overlaps(key: str, text: str) -> bool:
        """Some value that has limits at all neither starts after the period nor ends before it."""
        limits = [found for one in universe.found(key, code) if (found := spans.date_of(one)) is not None]
        return any(not any(spans.date_matches(one, prefix + text) for prefix in ("sa", "eb")) for one in limits)

    for text in MOMENTS:
        expected = {key for key in universe.of_type(resource_type) if overlaps(key, text)}
        path = f"{resource_type}?{urlencode({'_filter': f'{code} po {text}', '_count': 1000})}"
        assert {key for page in walk(api, path) for key in page.keys("match")} == expected, text
