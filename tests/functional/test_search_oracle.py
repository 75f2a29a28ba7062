"""The order without _sort, moments and windows of dates; test_search_everything.py has the rest of searching."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from fhir_server.interactions.context import Context
from fhir_server.store import tenants
from fhir_server.store.database_urls import DatabaseUrls
from tests.factories import search_world as world
from tests.functional.search_fixtures import context, create, delete, entries, find, ids, opened, pages


@pytest.fixture(scope="module")
def everything() -> list[dict[str, Any]]:
    return world.resources(seed=4)


@pytest.fixture(scope="module")
def ctx(database: DatabaseUrls, everything: list[dict[str, Any]]) -> Iterator[Context]:
    """A tenant with all resources, beside another one with the same ids and other content."""
    assert database.owner is not None
    with psycopg.connect(database.owner, autocommit=True) as connection:
        mine = tenants.create(connection, "oracle-mine")
        other = tenants.create(connection, "oracle-other")
    with opened(database) as pool:
        create(context(pool, other.id), world.resources(seed=5))
        ctx = context(pool, mine.id)
        create(ctx, everything)
        # What was deleted or was different once must not be found.
        create(ctx, [{"resourceType": "Patient", "id": "gone", "name": [{"family": "Smith"}], "gender": "male"}])
        delete(ctx, "Patient", "gone")
        changed = next(r for r in everything if r["id"] == "p0")
        create(ctx, [{**changed, "gender": "unknown", "name": [{"family": "Once"}]}, changed])
        yield ctx


def expected(everything: list[dict[str, Any]], resource_type: str, wanted: list[tuple[str, list[str]]]) -> set[str]:
    return {
        resource["id"]
        for resource in everything
        if resource["resourceType"] == resource_type and all(world.matches(resource, *clause) for clause in wanted)
    }


def written(wanted: list[tuple[str, list[str]]]) -> list[tuple[str, str]]:
    return [(name, ",".join(value.replace(",", "\\,") for value in values)) for name, values in wanted]


def test_a_patient_s_resources_come_by_clinical_date_newest_first(
    ctx: Context, everything: list[dict[str, Any]]
) -> None:
    by_id = {resource["id"]: resource for resource in everything}
    for name in ("p0", "p1", "p2", "p3"):
        found = ids(pages(ctx, "Observation", ("patient", name), ("_count", "3")))
        assert set(found) == expected(everything, "Observation", [("patient", [name])])
        starts = [[low for low, _ in world.DATES["Observation", "date"](by_id[one])] for one in found]
        dated = [low for lows in starts for low in lows]
        assert starts == [[]] * (len(starts) - len(dated)) + [[low] for low in sorted(dated, reverse=True)]


def test_other_matches_come_newest_first(ctx: Context) -> None:
    found = ids(pages(ctx, "Observation", ("status", "final,amended"), ("_count", "7")))
    assert found == [f"o{n}" for n in range(89, -1, -1)]
    assert ids(pages(ctx, "Observation", ("_count", "11"))) == found


def test_last_updated_is_compared_with_every_prefix(ctx: Context) -> None:
    whole = [(r["id"], r["meta"]["lastUpdated"]) for r in entries(find(ctx, "Patient", ("_count", "1000")))]
    pivot = sorted(moment for _, moment in whole)[len(whole) // 2]
    for prefix, holds in {
        "": lambda moment: moment == pivot,
        "ne": lambda moment: moment != pivot,
        "gt": lambda moment: moment > pivot,
        "ge": lambda moment: moment >= pivot,
        "lt": lambda moment: moment < pivot,
        "le": lambda moment: moment <= pivot,
        "sa": lambda moment: moment > pivot,
        "eb": lambda moment: moment < pivot,
    }.items():
        found = ids(pages(ctx, "Patient", ("_lastUpdated", prefix + pivot), ("_count", "9")))
        assert sorted(found) == sorted(name for name, moment in whole if holds(moment)), prefix


@pytest.mark.parametrize("more", [[], [("status", ["final"])], [("status", ["finished", "final", "planned"])]])
@pytest.mark.parametrize("resource_type", ["Observation", "Encounter"])
def test_two_bounds_of_one_date(
    ctx: Context, everything: list[dict[str, Any]], resource_type: str, more: list[tuple[str, list[str]]]
) -> None:
    for lower in ("ge2020-02-29", "gt2020-02-28", "sa2019", "ge2020"):
        for upper in ("lt2020-03-01", "le2020-02-29", "eb2022", "lt2021"):
            wanted = [("date", [lower]), *more, ("date", [upper])]
            wished = expected(everything, resource_type, wanted)
            found = ids(pages(ctx, resource_type, *written(wanted), ("_count", "4")))
            assert len(found) == len(wished)
            assert (set(found), lower, upper) == (wished, lower, upper)
