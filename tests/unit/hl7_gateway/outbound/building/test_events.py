"""Which event a change is. docs/hl7-outbound.md, "Events" """

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from hl7_gateway.conversion.families.visit import STATUS
from hl7_gateway.outbound.building.events import merged_into, of_appointment, of_encounter, of_patient
from hl7_gateway.outbound.building.sources import Untold

STATUSES = ("planned", "arrived", "triaged", "in-progress", "onleave", "finished", "cancelled", "entered-in-error")
MEANT = {"arrived": "in-progress", "triaged": "in-progress"}
MERGED = {"link": [{"type": "replaced-by", "other": {"reference": "Patient/x"}}]}


def visit(status: str, kind: str = "IMP") -> dict[str, Any]:
    return {"status": status, "class": {"code": kind}}


@pytest.mark.parametrize(("before", "after"), [*product((None, *STATUSES), STATUSES)])
def test_an_event_says_the_status_that_the_visit_has(before: str | None, after: str) -> None:
    """Read by our own conversion, an event that sets a status sets the right one; the others leave it as it was."""
    try:
        event = of_encounter(visit(before) if before else None, visit(after))
    except Untold:
        assert before is None or before == after == "entered-in-error"
        return
    wanted = MEANT.get(after, after)
    if event in STATUS:
        assert STATUS[event] == wanted
    else:
        assert before is not None
        assert MEANT.get(before, before) == wanted


def test_a_visit_that_is_deleted_was_an_error() -> None:
    assert of_encounter(visit("finished"), None) == "A23"
    with pytest.raises(Untold):
        of_encounter(None, None)


@pytest.mark.parametrize(
    ("before", "after", "event"),
    [
        (None, {}, "A28"),
        ({}, {"active": True}, "A31"),
        ({"active": False}, {}, "A28"),
        ({}, {"active": False}, "A29"),
        ({"active": False}, {"active": False, "gender": "male"}, "A31"),
        ({}, None, "A29"),
        ({}, {"active": False, **MERGED}, "A40"),
        (None, {"active": False, **MERGED}, "A40"),
        (MERGED, {}, "A31"),
    ],
)
def test_a_person(before: dict[str, Any] | None, after: dict[str, Any] | None, event: str) -> None:
    assert of_patient(before, after) == event


@pytest.mark.parametrize(
    ("before", "after"), [(MERGED, MERGED), (MERGED, None), (None, {"active": False}), (None, None)]
)
def test_a_person_who_is_not_told_of(before: dict[str, Any] | None, after: dict[str, Any] | None) -> None:
    with pytest.raises(Untold):
        of_patient(before, after)


def test_whom_a_patient_lives_on_as() -> None:
    assert merged_into(MERGED) == {"reference": "Patient/x"}
    assert merged_into({"link": [{"type": "seealso", "other": {"reference": "Patient/x"}}]}) is None


@pytest.mark.parametrize(
    ("before", "after", "event"),
    [
        (None, "booked", "S12"),
        ("proposed", "booked", "S12"),
        ("booked", "booked", "S14"),
        ("booked", "arrived", "S14"),
        ("booked", "cancelled", "S15"),
        ("cancelled", "cancelled", "S14"),
        ("cancelled", "booked", "S12"),
        ("booked", "noshow", "S26"),
        ("booked", "entered-in-error", "S17"),
        ("booked", None, "S17"),
    ],
)
def test_an_appointment(before: str | None, after: str | None, event: str) -> None:
    assert of_appointment({"status": before} if before else None, {"status": after} if after else None) == event
