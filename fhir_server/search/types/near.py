"""Search by distance: Location?near=latitude|longitude|distance|units. https://hl7.org/fhir/R4/location.html#search

A position is a row of idx_composite under ``{param}:near``, latitude in ``low``, longitude in ``high``. The index gives
a band of latitudes; the great circle distance on a sphere then decides.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from fhir_server.crypto.hashing import Hasher
from fhir_server.search.condition import Condition
from fhir_server.search.query import Clause
from fhir_server.search.sql import SqlParameters
from fhir_server.search.values import bad_modifier, bad_value, split, unescape
from fhir_server.store.index_rows import IndexRows

CODE = "near"

EARTH_RADIUS = 6_371_008.7714
"""The mean radius of the Earth in metres, R1 of WGS 84: (2a + b) / 3. https://earth-info.nga.mil/"""

DEFAULT_DISTANCE = 50_000.0
"""Metres that are near where the search names no distance, as the specification leaves to the server."""

_SURVEY_FOOT = 1200 / 3937

METRES = {
    "m": 1.0,
    "km": 1_000.0,
    "[ft_i]": 0.3048,
    "[yd_i]": 0.9144,
    "[mi_i]": 1_609.344,
    "[nmi_i]": 1_852.0,
    "[ft_us]": _SURVEY_FOOT,
    "[mi_us]": 5_280 * _SURVEY_FOOT,
    "ft": 0.3048,
    "mi": 1_609.344,
}
"""The units of a distance in metres: UCUM's codes, and two that people write. https://ucum.org/ucum#section-Base-Units"""

_NUMBER = re.compile(r"[+-]?[0-9]{1,12}(\.[0-9]{1,30})?")
_FORM = "latitude|longitude|distance|units, such as 42.25|-83.69|11.2|km"

# Radians, some micrometres: the two longitudes of a pole are one place, which rounding would set apart.
_SAME_PLACE = 1e-12

# Degrees by which the bands are wider than computed, since rounding must not exclude what the distance would admit.
_MARGIN = 1e-9


def position(value: dict[str, Any], params: tuple[int, ...], rows: IndexRows, hasher: Hasher) -> None:
    """Write a Location.position, unless it lacks a number or is no place on Earth.

    https://hl7.org/fhir/R4/location-definitions.html#Location.position
    """
    latitude, longitude = value.get("latitude"), value.get("longitude")
    if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
        return
    rows.composites += [(hasher(f"{param}:near"), float(latitude), float(longitude), "") for param in params]


EXTRACT = {"Location.position": position}


@dataclass(frozen=True, slots=True)
class Circle:
    """A place in degrees and an angle around it in radians, as seen from the centre of the Earth."""

    latitude: float
    longitude: float
    angle: float


def where(clause: Clause, sql: SqlParameters, hasher: Hasher) -> Condition:
    """What the clause is in SQL. Raises BadRequest for every modifier and for values that are no place and distance."""
    if clause.modifier:
        raise bad_modifier(clause)
    try:
        circles = [searched(value) for value in clause.values]
    except ValueError as error:
        raise bad_value(clause, str(error)) from None
    hashed = sql.bind(hasher.uncached(f"{clause.parameter.param}:near"), "bigint")
    found = " OR ".join(f"({_within(circle, sql)})" for circle in circles)
    return Condition(
        f"SELECT i.rid FROM idx_composite i WHERE i.tenant_id = {sql.tenant} AND i.hash = {hashed} AND ({found})"  # noqa: S608
    )


def searched(text: str) -> Circle:
    """The value of a search. Raises ValueError that says what would be right."""
    parts = split(text, "|")
    if not 2 <= len(parts) <= 4:
        raise ValueError(f"a place has the parts {_FORM}; distance and units may be left out")
    latitude = _number(parts[0], "latitude", -90, 90)
    longitude = _number(parts[1], "longitude", -180, 180)
    written, unit = (*(unescape(part) for part in parts[2:]), "", "")[:2]
    if unit and unit not in METRES:
        raise ValueError(f"the units of a distance are {', '.join(METRES)}; km where there are none")
    metres = _number(written, "distance", 0, 1e12) * METRES[unit or "km"] if written else DEFAULT_DISTANCE
    return Circle(latitude, longitude, min(max(metres / EARTH_RADIUS, _SAME_PLACE), math.pi))


def _number(text: str, name: str, least: float, most: float) -> float:
    if not _NUMBER.fullmatch(text) or not least <= (number := float(text)) <= most:
        limits = f"from {least} to {most}" if most < 1e12 else f"of {least} or more"
        raise ValueError(f"the {name} is a number {limits}; the value has the form {_FORM}")
    return number


def _within(circle: Circle, sql: SqlParameters) -> str:
    """The condition on a row of the index ``i``: two bands, which lie around the circle, then the distance itself."""
    latitude, longitude = circle.latitude, circle.longitude

    def bind(value: float) -> str:
        return sql.bind(float(value), "float8")

    height = math.degrees(circle.angle) + _MARGIN
    bands = [f"i.low >= {bind(latitude - height)} AND i.low <= {bind(latitude + height)}"]
    width = _width(circle)
    if width < 180:
        west, east = longitude - width, longitude + width
        # A band over the antimeridian has an end on either side of it.
        if west < -180:
            bands.append(f"(i.high >= {bind(west + 360)} OR i.high <= {bind(east)})")
        elif east > 180:
            bands.append(f"(i.high >= {bind(west)} OR i.high <= {bind(east - 360)})")
        else:
            bands.append(f"i.high >= {bind(west)} AND i.high <= {bind(east)}")
    # The haversine of the angle between the two places. https://en.wikipedia.org/wiki/Haversine_formula
    haversine = (
        f"power(sin(radians(i.low - {bind(latitude)}) / 2), 2) + {bind(math.cos(math.radians(latitude)))}"
        f" * cos(radians(i.low)) * power(sin(radians(i.high - {bind(longitude)}) / 2), 2)"
    )
    return " AND ".join([*bands, f"{haversine} <= {bind(math.sin(circle.angle / 2) ** 2)}"])


def _width(circle: Circle) -> float:
    """Half the width of the band of longitudes around a circle, in degrees; 180 where the circle holds a pole.

    At its widest a circle touches the meridians where sin(width) = sin(angle) / cos(latitude).
    """
    if abs(circle.latitude) + math.degrees(circle.angle) >= 90 - _MARGIN:
        return 180.0
    ratio = math.sin(circle.angle) / math.cos(math.radians(circle.latitude))
    return math.degrees(math.asin(min(1.0, ratio))) * (1 + _MARGIN) + _MARGIN
