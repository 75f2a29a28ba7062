"""Search by distance against the haversine formula in plain Python. https://hl7.org/fhir/R4/location.html#search"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import BadRequest
from fhir_server.search.index import extract
from fhir_server.search.parse import parse
from fhir_server.search.registry import parameters
from fhir_server.search.sql import SqlParameters
from fhir_server.search.types import near
from tests.unit.search.searching import HASHER, Searching, clause


def location(place: str, latitude: object, longitude: object) -> dict[str, Any]:
    return {"resourceType": "Location", "id": place, "position": {"latitude": latitude, "longitude": longitude}}


def metres(one: tuple[float, float], other: tuple[float, float]) -> float:
    """The great circle distance of two places in degrees. https://en.wikipedia.org/wiki/Great-circle_distance"""
    (lat1, lon1), (lat2, lon2) = ([math.radians(x) for x in place] for place in (one, other))
    # Another formula than the one under test: Vincenty's for a sphere, good for every distance.
    across = math.hypot(
        math.cos(lat2) * math.sin(lon2 - lon1),
        math.cos(lat1) * math.sin(lat2) - math.sin(lat1) * math.cos(lat2) * math.cos(lon2 - lon1),
    )
    along = math.sin(lat1) * math.sin(lat2) + math.cos(lat1) * math.cos(lat2) * math.cos(lon2 - lon1)
    return 6_371_008.7714 * math.atan2(across, along)


CITIES = {
    "berlin": (Decimal("52.52"), Decimal("13.405")),
    "potsdam": (Decimal("52.39"), Decimal("13.065")),
    "suva": (Decimal("-18.14"), Decimal("178.44")),
    "apia": (Decimal("-13.83"), Decimal("-171.77")),
    "pole": (Decimal("90"), Decimal("0")),
    "alert": (Decimal("82.5"), Decimal("-62.35")),
    "null": (0, 0),
}


@pytest.fixture
def cities(searching: Searching) -> Searching:
    searching.write(*(location(name, *place) for name, place in CITIES.items()))
    searching.write(
        {"resourceType": "Location", "id": "nowhere"},
        location("off", Decimal("95"), Decimal("13")),
        {"resourceType": "Location", "id": "half", "position": {"latitude": 0}},
    )
    return searching


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("near=52.5|13.4", "berlin potsdam"),
        ("near=52.52|13.405|1", "berlin"),
        ("near=52.52|13.405|0", "berlin"),
        ("near=52.521|13.405|0", ""),
        ("near=52.52|13.405|27|km", "berlin"),
        ("near=52.52|13.405|28|km", "berlin potsdam"),
        ("near=52.52|13.405|28000|m", "berlin potsdam"),
        ("near=52.52|13.405|16.7|[mi_i]", "berlin"),
        ("near=52.52|13.405|17.3|[mi_us]", "berlin potsdam"),
        ("near=52.52|13.405||[mi_us]", "berlin potsdam"),
        ("near=+52.52|+13.405||", "berlin potsdam"),
        # Over the antimeridian, from either side and from the meridian itself.
        ("near=-18.14|178.44|1200", "apia suva"),
        ("near=-13.83|-171.77|1200", "apia suva"),
        ("near=-16|180|950", "apia suva"),
        ("near=-16|-180|950", "apia suva"),
        # A circle that holds a pole reaches every meridian; at the pole itself all longitudes are one place.
        ("near=89|117.65|1000", "alert pole"),
        ("near=90|-77|0", "pole"),
        ("near=0|0|0", "null"),
        ("near=0|0|30000", "alert apia berlin null pole potsdam suva"),
        ("near=52.52|13.405|1,-13.83|-171.77|1", "apia berlin"),
        ("near:missing=true", "nowhere"),
        ("near:missing=false", "alert apia berlin half null off pole potsdam suva"),
    ],
)
def test_what_is_near(cities: Searching, query: str, expected: str) -> None:
    assert cities.find("Location", query) == expected


def test_a_position_without_two_numbers_on_earth_has_no_row() -> None:
    for latitude, longitude in [(91, 0), (0, -181), (None, 0), (0, Decimal("1e400"))]:
        assert extract(location("x", latitude, longitude), HASHER).composites == []
    rows = extract(location("x", Decimal("-12.5"), 180), HASHER)
    param = parameters("Location")["near"].param
    assert rows.composites == [(HASHER(f"{param}:near"), -12.5, 180.0, "")]


latitudes = st.one_of(st.floats(-90, 90), st.sampled_from([-90.0, 0.0, 89.999, 90.0]))
longitudes = st.one_of(st.floats(-180, 180), st.sampled_from([-180.0, 0.0, 179.999, 180.0]))
places = st.tuples(latitudes, longitudes).map(lambda place: tuple(round(x, 6) for x in place))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stored=st.lists(places, min_size=1, max_size=12),
    centre=places,
    distance=st.one_of(st.floats(0, 21_000), st.floats(0, 50)),
)
def test_the_same_as_the_distances_computed_one_by_one(
    searching: Searching, stored: list[tuple[float, float]], centre: tuple[float, float], distance: float
) -> None:
    kilometres = round(distance, 3)
    computed = [metres(place, centre) / 1000 for place in stored]
    # What lies on the circle itself is a matter of rounding: a haversine of an angle near 180 degrees has few digits.
    assume(all(abs(found - kilometres) > (1e-3 if found < 19_900 else 2) or found == 0 for found in computed))
    expected = [found <= kilometres for found in computed]
    sql = SqlParameters(searching.tenant_id)
    one = clause("Location", f"near={centre[0]:.6f}|{centre[1]:.6f}|{kilometres:.3f}|km")
    condition = near.where(one, sql, HASHER).rids.partition(" AND (")[2][:-1]
    values = ", ".join(f"({n}, {lat!r}::float8, {lon!r}::float8)" for n, (lat, lon) in enumerate(stored))
    # The rows stand in the statement itself, which spares a write for each example.
    rows = searching._rows(f"SELECT i.n FROM (VALUES {values}) i(n, low, high) WHERE {condition}", list(sql.values))  # noqa: S608
    found = {row[0] for row in rows}
    assert [n in found for n in range(len(stored))] == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("1", "a place has the parts"),
        ("1|2|3|km|5", "a place has the parts"),
        ("91|2", "the latitude is a number from -90 to 90"),
        ("north|2", "the latitude is a number from -90 to 90"),
        ("1|-180.1", "the longitude is a number from -180 to 180"),
        ("1|", "the longitude is a number from -180 to 180"),
        ("1|2|-3", "the distance is a number of 0 or more"),
        ("1|2|1e3", "the distance is a number of 0 or more"),
        ("1|2|" + "9" * 5000, "the distance is a number of 0 or more"),
        ("1|2|3|furlong", "the units of a distance are m, km,"),
        ("nan|2", "the latitude is a number"),
    ],
)
def test_a_value_that_is_no_place_is_refused(value: str, message: str) -> None:
    with pytest.raises(BadRequest) as refused:
        near.where(clause("Location", f"near={value}"), SqlParameters(1), Hasher(bytes(16)))
    assert message in str(refused.value)


def test_results_cannot_be_sorted_by_it() -> None:
    with pytest.raises(BadRequest, match="Cannot sort by 'near'"):
        parse("Location", [("_sort", "near")])


def test_every_modifier_but_missing_is_refused() -> None:
    with pytest.raises(BadRequest, match=":missing"):
        near.where(clause("Location", "near:above=1|2"), SqlParameters(1), Hasher(bytes(16)))
