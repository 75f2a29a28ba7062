"""Which place is which, and how it is called. https://hl7.org/fhir/R4/location.html"""

from __future__ import annotations

from typing import Any

import pytest

from hl7_gateway.outbound.building import places
from tests.unit.hl7_gateway.outbound.samples import BED, WARD, Shelf


def there(name: str, status: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {"location": {"reference": name}}
    return found | ({"status": status} if status else {})


@pytest.mark.parametrize(
    ("status", "listed", "here", "left", "planned"),
    [
        ("in-progress", [], None, None, None),
        ("in-progress", [("a", None)], "a", None, None),
        ("in-progress", [("a", "completed"), ("b", "active"), ("c", "planned")], "b", "a", "c"),
        ("finished", [("a", "completed"), ("b", "completed")], "b", "a", None),
        ("planned", [("a", "planned")], None, None, "a"),
    ],
)
def test_places_of_a_visit(
    status: str, listed: list[tuple[str, str | None]], here: str | None, left: str | None, planned: str | None
) -> None:
    encounter = {"status": status, "location": [there(*one) for one in listed]}
    found = [places.current(encounter), places.left(encounter), places.planned(encounter)]
    assert [one and one["reference"] for one in found] == [here, left, planned]


def test_of_places_that_are_over_the_one_where_the_patient_was() -> None:
    before = {"status": "in-progress", "location": [there("b", "active")]}
    after = {"status": "finished", "location": [there("b", "completed"), there("a", "completed")]}
    assert places.current(after, before) == {"reference": "b"}


def test_a_place_within_places() -> None:
    assert places.pl(BED, Shelf(WARD)) == "ICU^^Bed 3"
    assert places.pl(BED, Shelf()) == "^^Bed 3"
    assert places.pl(None, Shelf()) == ""
    assert places.pl({"display": "Somewhere"}, Shelf()) == "^^^^^^^^Somewhere"


def test_places_that_lead_in_a_circle_end() -> None:
    circle = {**WARD, "partOf": {"reference": "Location/ward"}}
    assert places.pl(circle, Shelf(circle)) == "ICU"


def test_a_place_that_a_message_has_named_is_named_so_again() -> None:
    def place(number: str, path: str, kind: str, outer: str = "") -> dict[str, Any]:
        found = {
            "resourceType": "Location",
            "id": number,
            "name": path.partition("/")[2].replace("/", " "),
            "identifier": [{"system": "urn:hl7:lab:location", "value": path}],
            "physicalType": {"coding": [{"code": kind}]},
        }
        return found | ({"partOf": {"reference": f"Location/{outer}"}} if outer else {})

    ward, room = place("w", "HOSP/ICU", "wa"), place("r", "HOSP/ICU/101", "ro", "w")
    assert places.pl(room, Shelf(ward)) == "ICU^101^^HOSP"
