"""Searches of every kind over HTTP against a plain Python evaluation over all resources. https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server.app import FhirServer
from fhir_server.search import registry, roads
from fhir_server.store import tenants
from fhir_server.store.database_urls import DatabaseUrls
from tests.functional.conftest import Api
from tests.functional.search_universe import Page, load, page, url, walk
from tests.oracle import ordering
from tests.oracle.evaluate import Universe
from tests.oracle.parameters import PARAMETERS
from tests.oracle.queries import MOST_TARGETS, Queries
from tests.oracle.query import Chain, Clause, Search

SEED = 4
_MOST_PAGES = 25
_VALUES_EACH = 4
_MOST_VALUES = 130
RANGES = [
    ("Patient", "birthdate"),
    ("Encounter", "date"),
    ("Observation", "date"),
    ("Observation", "value-quantity"),
    ("Observation", "code-value-quantity"),
    ("RiskAssessment", "probability"),
    ("ChargeItem", "factor-override"),
    ("ServiceRequest", "occurrence"),
]
"""Parameters over every kind of date, number and quantity."""

everything = partial(settings, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


def make_world(
    app: FhirServer, access_token: Callable[..., str], database: DatabaseUrls, seed: int
) -> tuple[Api, Universe]:
    """A tenant with a universe, beside another one with the same ids and other content."""
    assert database.owner is not None
    with psycopg.connect(database.owner, autocommit=True) as connection:
        names = [f"everything-{os.getpid()}-{seed}-{name}" for name in ("mine", "other")]
        slugs = [tenants.create(connection, name).slug for name in names]
    mine, other = (Api(app, slug, access_token(slug, lifetime=3600)) for slug in slugs)
    load(other, seed + 1)
    universe = load(mine, seed)
    with psycopg.connect(database.owner, autocommit=True) as connection:
        connection.execute("ANALYZE")  # as a server that has been up for a minute has it
    return mine, universe


@pytest.fixture(scope="module")
def world(app: FhirServer, access_token: Callable[..., str], database: DatabaseUrls) -> tuple[Api, Universe]:
    return make_world(app, access_token, database, SEED)


def check(api: Api, universe: Universe, search: Search) -> int:
    """Every page of a search forwards, then backwards, against the oracle; gives the number of matches."""
    wanted = universe.matches(search)
    if len(wanted) > search.count * _MOST_PAGES:
        search = Search(**{**vars(search), "count": len(wanted) // _MOST_PAGES + 1})
    pages = list(walk(api, url(search)))
    found = [key for one in pages for key in one.keys("match")]
    assert len(found) == len(set(found)), "a match comes twice"
    assert set(found) == wanted
    assert [len(one.keys("match")) for one in pages[:-1]] == [search.count] * (len(pages) - 1)
    assert ordering.breaks(universe, found, search.sort) == []
    for shown in pages:
        _check_includes(universe, search, shown)
    _check_backwards(api, pages)
    return len(wanted)


def _check_includes(universe: Universe, search: Search, shown: Page) -> None:
    included = shown.keys("include")
    assert len(included) == len(set(included)), "an included resource comes twice"
    assert set(included) == universe.included(shown.keys("match"), search.includes)
    assert shown.keys("outcome") == []


def _check_backwards(api: Api, pages: list[Page]) -> None:
    """From the last page the previous links show the same pages, and the first link the first one."""
    if len(pages) == 1:
        assert pages[0].link("previous") is None
        return
    start = pages[-1].link("previous")
    assert start is not None
    before = list(walk(api, start, "previous"))
    assert [one.keys("match") for one in before] == [one.keys("match") for one in reversed(pages[:-1])]
    first = pages[-1].link("first")
    assert first is not None
    assert next(walk(api, first)).keys("match") == pages[0].keys("match")


@everything(max_examples=60)
@given(data=st.data())
def test_finds_what_plain_python_finds(world: tuple[Api, Universe], data: st.DataObject) -> None:
    api, universe = world
    check(api, universe, data.draw(queries(universe).search()))


@pytest.mark.attack
@everything(max_examples=60)
@given(data=st.data())
def test_finds_the_same_where_all_is_many(world: tuple[Api, Universe], data: st.DataObject) -> None:
    """In so small a world everything is few; so that the other road is taken, nothing is."""
    api, universe = world
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(roads, "MOST_FOUND", 0)
        patch.setattr(roads, "MOST_SEEDS", 0)
        patch.setattr(roads, "MOST_TOGETHER", data.draw(st.sampled_from([0, roads.MOST_TOGETHER])))
        patch.setattr(roads, "MOST_TOGETHER", data.draw(st.sampled_from((0, 800))))
        check(api, universe, data.draw(queries(universe).search()))


@pytest.mark.parametrize("resource_type", PARAMETERS)
def test_every_parameter_by_itself(world: tuple[Api, Universe], resource_type: str) -> None:
    """Each parameter with each of its modifiers, and values spread over all forms that it is searched in."""
    api, universe = world
    strategies = queries(universe)
    for code in PARAMETERS[resource_type]:
        for modifier in strategies.modifiers(resource_type, code):
            pool = strategies.pools.of(resource_type, code, modifier)
            for value in pool[:: max(1, len(pool) // _VALUES_EACH)]:
                search = Search((resource_type,), (Clause(code, modifier, (value,)),), count=1000)
                found = page(api, url(search)).keys("match")
                assert (sorted(found), url(search)) == (sorted(universe.matches(search)), url(search))


@pytest.mark.parametrize(("resource_type", "code"), RANGES)
def test_every_prefix_at_every_boundary(world: tuple[Api, Universe], resource_type: str, code: str) -> None:
    """All prefixes before values that resources have, and before others around them."""
    api, universe = world
    pool = queries(universe).pools.of(resource_type, code)
    for value in pool[:: max(1, len(pool) // _MOST_VALUES)]:
        search = Search((resource_type,), (Clause(code, "", (value,)),), count=1000)
        found = page(api, url(search)).keys("match")
        assert (sorted(found), url(search)) == (sorted(universe.matches(search)), url(search))


@pytest.mark.parametrize("resource_type", PARAMETERS)
def test_every_order_by_itself(world: tuple[Api, Universe], resource_type: str) -> None:
    """Each parameter in both directions, as the only key and behind another one that leaves much equal."""
    api, universe = world
    for code in queries(universe).sortable(resource_type):
        for descending in (False, True):
            for sort in (((code, descending),), (("_security", False), (code, descending))):
                search = Search((resource_type,), sort=sort, count=1000)
                found = page(api, url(search)).keys("match")
                assert len(found) == len(universe.of_type(resource_type))
                assert (ordering.breaks(universe, found, sort), url(search)) == ([], url(search))


# What random searches found once.
FOUND = [
    Search(
        ("ValueSet", "Location"),
        (Clause("status", "", ("http://hl7.org/fhir/location-status|active",)), Clause("status", "", ("active",))),
        system=True,
    ),
    Search(("Patient",), sort=(("deceased", True), ("_id", False))),
    Search(("Observation",), sort=(("patient", False),), count=7),
    # Roles have identifiers as well, and those without one have none of this system.
    Search(("Encounter",), (Chain("participant", "", Clause("identifier", "not", ("http://example.org/codes|",))),)),
]


@pytest.mark.parametrize("search", FOUND)
def test_what_was_found_once(world: tuple[Api, Universe], search: Search) -> None:
    check(*world, search)


def test_the_oracle_knows_all_that_chains_without_a_type_ask() -> None:
    """Of types that have such a parameter none is passed over: what has no value there meets :not and :missing."""
    unknown = {
        (other, code)
        for found in PARAMETERS.values()
        for one in found.values()
        if one.kind == "reference" and len(one.targets) <= MOST_TARGETS
        for code in {code for name in one.targets for code in PARAMETERS[name]}
        for other in one.targets
        if code in registry.parameters(other) and code not in PARAMETERS[other]
    }
    assert unknown == set()


@everything(max_examples=40)
@given(data=st.data())
def test_counts_what_plain_python_counts(world: tuple[Api, Universe], data: st.DataObject) -> None:
    api, universe = world
    search = data.draw(queries(universe).search(includes=0))
    number, path = len(universe.matches(search)), url(search)
    counted = page(api, f"{path}&_summary=count").bundle
    assert (counted["total"], counted.get("entry", [])) == (number, [])
    assert page(api, f"{path}&_total=accurate").bundle["total"] == number
    estimated = page(api, f"{path}&_total=estimate").bundle["total"]
    assert estimated >= min(number, 1)


@everything(max_examples=30)
@given(data=st.data())
def test_parts_of_resources_are_parts_of_what_is_found_whole(world: tuple[Api, Universe], data: st.DataObject) -> None:
    """_summary and _elements change nothing but how much of each match is shown, and tag what they cut."""
    api, universe = world
    search = data.draw(queries(universe).search(includes=0))
    whole = page(api, url(search)).entries
    kept = sorted({name for one in whole for name in one["resource"]} - {"resourceType", "id", "meta"})
    elements = data.draw(st.lists(st.sampled_from(kept or ["id"]), min_size=1, max_size=3, unique=True))
    if search.system:
        elements = ["id"]
    parts = [f"_elements={','.join(elements)}", *(f"_summary={value}" for value in ("true", "text", "data", "false"))]
    part = data.draw(st.sampled_from(parts))
    cut = page(api, f"{url(search)}&{part}").entries
    assert [one["fullUrl"] for one in cut] == [one["fullUrl"] for one in whole]
    for less, more in zip(cut, whole, strict=True):
        assert {n for n, value in less["resource"].items() if more["resource"].get(n) != value} <= {"meta"}
        assert _tagged(less["resource"]) == (part != "_summary=false")
        if part.startswith("_elements"):
            assert set(elements) & more["resource"].keys() <= less["resource"].keys()


def _tagged(resource: dict[str, Any]) -> bool:
    return any(tag.get("code") == "SUBSETTED" for tag in resource["meta"].get("tag", []))


_queries: dict[int, Queries] = {}


def queries(universe: Universe) -> Queries:
    """The strategies over a universe, made once."""
    return _queries.setdefault(id(universe), Queries(universe))
