"""Searches of every kind against a plain Python evaluation over all resources, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server.interactions.context import Context
from fhir_server.store import tenants
from fhir_server.store.database_urls import DatabaseUrls
from tests.factories import search_world as world
from tests.functional.search_fixtures import context, create, delete, entries, find, ids, opened, pages

TYPES = ("Patient", "Observation", "Encounter")


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


def escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("$", "\\$")


TOKENS = [
    *("male", "final", "amended", "finished", "AMB", "red", "R", "vital-signs", "7"),
    *(text for code in map(escaped, world.CODES) for text in (code, f"{world.LOINC}|{code}", f"|{code}")),
    *(f"{world.CATEGORY}|laboratory", f"{world.CATEGORY}|", f"{world.LOINC}|", f"{world.TAG}|blue", "|R", "|7"),
    *(f"{world.MRN}|{number}" for number in (3, 7, 20)),
    *("http://hl7.org/fhir/administrative-gender|female", "http://hl7.org/fhir/administrative-gender|"),
]
PREFIXES = ["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"]
DATES = [
    prefix + text
    for prefix in PREFIXES
    for text in [*world.MOMENTS, "1970", "1970-05", "1970-05-20", "2020-02-29T10:00Z", "2021", "2020-06-01"]
]
TEXTS = [
    escaped(text[:length])
    for text in [*world.FAMILIES, *world.GIVENS, "smith", "anna", "muller", "ANGSTROM", "s%", "s_"]
    for length in (1, 2, 4, 30)
]
PATIENTS = [f"p{number}" for number in range(9)]
NAMED_PATIENTS = [*PATIENTS, *(f"Patient/{name}" for name in PATIENTS)]
SUBJECTS = [*NAMED_PATIENTS, *(f"Group/{name}" for name in PATIENTS)]
PRACTITIONERS = [f"{kind}d{number}" for kind in ("", "Practitioner/") for number in range(5)]
URIS = [world.PROFILE + "1", world.PROFILE + "2", world.PROFILE]
tokens, dates, texts, uris = map(st.sampled_from, (TOKENS, DATES, TEXTS, URIS))


def reference_values(code: str) -> list[str]:
    """A Group may be the subject of an Observation and of an Encounter, but is no patient."""
    return {"subject": SUBJECTS, "patient": NAMED_PATIENTS}.get(code, PRACTITIONERS)


def modified(
    code: str, modifiers: list[str], values: st.SearchStrategy[str]
) -> st.SearchStrategy[tuple[str, list[str]]]:
    named = st.sampled_from(modifiers).map(lambda modifier: f"{code}:{modifier}" if modifier else code)
    plain = st.tuples(named, st.lists(values, min_size=1, max_size=3))
    missing = st.tuples(st.just(f"{code}:missing"), st.sampled_from([["true"], ["false"]]))
    return plain | missing if code != "_id" else plain


def clauses(resource_type: str) -> st.SearchStrategy[tuple[str, list[str]]]:
    kinds = [modified("_id", [""], st.sampled_from(["p0", "o1", "e2", "p5", "gone", "nobody"]))]
    for table, modifiers, values in [
        (world.TOKENS, ["", "not"], tokens),
        (world.STRINGS, ["", "exact", "contains"], texts),
        (world.DATES, [""], dates),
        (world.URIS, [""], uris),
    ]:
        kinds += [modified(code, modifiers, values) for kind, code in table if kind == resource_type]
    for kind, code in world.REFERENCES:
        if kind == resource_type:
            kinds.append(modified(code, [""], st.sampled_from(reference_values(code))))
            if code in ("subject", "patient"):
                kinds.append(modified(code, ["Patient"], st.sampled_from(NAMED_PATIENTS)))
    return st.one_of(kinds)


searches = st.sampled_from(TYPES).flatmap(
    lambda resource_type: st.tuples(st.just(resource_type), st.lists(clauses(resource_type), max_size=3))
)
orders = st.sampled_from(["", "_lastUpdated", "-_lastUpdated", "_id", "-_id", "_lastUpdated,-_id", "-_id,_lastUpdated"])


def expected(everything: list[dict[str, Any]], resource_type: str, wanted: list[tuple[str, list[str]]]) -> set[str]:
    return {
        resource["id"]
        for resource in everything
        if resource["resourceType"] == resource_type and all(world.matches(resource, *clause) for clause in wanted)
    }


def written(wanted: list[tuple[str, list[str]]]) -> list[tuple[str, str]]:
    return [(name, ",".join(value.replace(",", "\\,") for value in values)) for name, values in wanted]


@settings(
    max_examples=250, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(searches, orders, st.integers(1, 60))
def test_finds_what_plain_python_finds(
    ctx: Context,
    everything: list[dict[str, Any]],
    wanted: tuple[str, list[tuple[str, list[str]]]],
    order: str,
    size: int,
) -> None:
    resource_type, parameters = wanted
    wished = expected(everything, resource_type, parameters)
    pairs = [*written(parameters), ("_count", str(size))]
    if order:
        pairs.append(("_sort", order))
    bundles = list(pages(ctx, resource_type, *pairs))
    found = [resource for bundle in bundles for resource in entries(bundle)]
    names = [resource["id"] for resource in found]
    assert len(names) == len(set(names)), "a page repeats a row"
    assert set(names) == wished
    assert all(len(entries(bundle)) == size for bundle in bundles[:-1])
    _check_order(found, order)


SINGLE = [
    *((*key, modifier, TOKENS) for key in world.TOKENS for modifier in ("", "not")),
    *((*key, modifier, TEXTS) for key in world.STRINGS for modifier in ("", "exact", "contains")),
    *((*key, "", DATES) for key in world.DATES),
    *((*key, "", URIS) for key in world.URIS),
    *((*key, "", reference_values(key[1])) for key in world.REFERENCES),
    *((*key, "Patient", NAMED_PATIENTS) for key in world.REFERENCES if key[1] in ("subject", "patient")),
    *((*key, "missing", ["true", "false"]) for key in [*world.TOKENS, *world.STRINGS, *world.DATES, *world.REFERENCES]),
]


@pytest.mark.parametrize(("resource_type", "code", "modifier", "values"), SINGLE)
def test_every_value_by_itself(
    ctx: Context, everything: list[dict[str, Any]], resource_type: str, code: str, modifier: str, values: list[str]
) -> None:
    """Every modifier and prefix of every parameter; among the values must be some that match and some that do not."""
    name = f"{code}:{modifier}" if modifier else code
    sizes = set()
    for value in values:
        wished = expected(everything, resource_type, [(name, [value])])
        found = ids([find(ctx, resource_type, *written([(name, [value])]), ("_count", "1000"))])
        assert (sorted(found), value) == (sorted(wished), value)
        sizes.add(len(wished))
    assert len(sizes) > 1


def _check_order(found: list[dict[str, Any]], order: str) -> None:
    for key in order.split(",")[:1]:
        values = [
            resource["id"] if key.endswith("_id") else resource["meta"]["lastUpdated"] for resource in found if key
        ]
        assert values == sorted(values, reverse=key.startswith("-"))


@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(searches)
def test_counts_what_plain_python_counts(
    ctx: Context, everything: list[dict[str, Any]], wanted: tuple[str, list[tuple[str, list[str]]]]
) -> None:
    resource_type, parameters = wanted
    number = len(expected(everything, resource_type, parameters))
    pairs = written(parameters)
    counted = find(ctx, resource_type, *pairs, ("_summary", "count"))
    assert (counted["total"], "entry" in counted) == (number, False)
    assert find(ctx, resource_type, *pairs, ("_count", "0"))["total"] == number
    assert find(ctx, resource_type, *pairs, ("_count", "1"), ("_total", "accurate"))["total"] == number
    assert find(ctx, resource_type, *pairs, ("_count", "1000"))["total"] == number
    assert find(ctx, resource_type, *pairs, ("_count", "1"), ("_total", "estimate"))["total"] >= min(number, 1)


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
