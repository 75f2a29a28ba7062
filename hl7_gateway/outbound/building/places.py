"""Location as PL, and which place of an Encounter is which. https://hl7.org/fhir/R4/location.html"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hl7_gateway.outbound.building.sources import Resource, Sources, found
from hl7_gateway.outbound.building.text import components, text

_LEVELS: Final = {"wa": 1, "ro": 2, "bd": 3, "bu": 7, "lvl": 8}
"""location-physical-type -> component of PL. https://terminology.hl7.org/CodeSystem-location-physical-type.html"""

_DEEPEST: Final = 12
"""How many places within places are looked at."""


def pl(location: Resource | None, sources: Sources) -> str:
    """The place, with the places that it is in."""
    parts = [""] * 9
    facility = ""
    for place, outer in _chain(location, sources):
        level = _LEVELS.get(_kind(place), 0)
        own, before = _name(place, outer)
        if level and not parts[level - 1]:
            parts[level - 1] = text(own)
            facility = before
        elif not any(parts):
            parts[8] = text(own)
    if any(parts[:8]):
        parts[3] = text(facility)
    return components(*parts)


def _chain(location: Resource | None, sources: Sources) -> Iterator[tuple[Resource, Resource | None]]:
    """A place and what it is in, from the inside."""
    for _ in range(_DEEPEST):
        if location is None:
            return
        outer = found(sources, location.get("partOf"), location)
        yield location, outer
        location = outer


def _kind(place: Resource) -> str:
    return next((str(one.get("code")) for one in place.get("physicalType", {}).get("coding", ())), "")


def _path(place: Resource | None) -> str:
    """The path by which a place is known that a message of HL7 v2 has named: facility/ward/room/bed."""
    known = place.get("identifier", ()) if place else ()
    return next((str(one.get("value")) for one in known if str(one.get("system", "")).endswith(":location")), "")


def _name(place: Resource, outer: Resource | None) -> tuple[str, str]:
    """What a place is called within that it is in, and what stands before it."""
    path, whole = _path(place), _path(outer)
    if path and whole and path.startswith(whole + "/"):
        return path[len(whole) + 1 :], ""
    if path:
        before, _, own = path.rpartition("/")
        return own or str(place.get("name", path)), before
    return str(place.get("name") or place.get("display") or place.get("id", "")), ""


def current(encounter: Resource, known: Resource | None = None) -> Resource | None:
    """The reference to where a patient is, was last, or will be.

    Of several that are over, the one where they were by the version before, ``known``.
    """
    listed = encounter.get("location", ())
    here = [one["location"] for one in listed if one.get("status", "active") == "active"]
    if here:
        last: Resource = here[-1]
        return last
    if encounter.get("status") in ("finished", "cancelled", "entered-in-error"):
        over = [one["location"] for one in listed if one.get("status") == "completed"]
        before = current(known) if known is not None else None
        return before if before in over else next(reversed(over), None)
    return None


def planned(encounter: Resource) -> Resource | None:
    """The reference to where a patient is to come."""
    return next((one["location"] for one in encounter.get("location", ()) if one.get("status") == "planned"), None)


def left(encounter: Resource) -> Resource | None:
    """The reference to where a patient was before."""
    here = current(encounter)
    over = [one["location"] for one in encounter.get("location", ()) if one.get("status") == "completed"]
    return next((one for one in reversed(over) if one != here), None)
