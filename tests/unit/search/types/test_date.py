"""Date search, written and read. https://hl7.org/fhir/R4/search.html#date"""

from __future__ import annotations

import pytest

from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import BadRequest
from fhir_server.search.registry import parameters
from fhir_server.search.sql import SqlParameters
from fhir_server.search.support import modifiers
from fhir_server.search.types import date
from tests.unit.search.searching import Searching, clause


def observation(name: str, **effective: object) -> dict[str, object]:
    return {"resourceType": "Observation", "id": name, "status": "final", "code": {"text": "x"}, **effective}


@pytest.fixture
def observations(searching: Searching) -> Searching:
    searching.write(
        observation("day", effectiveDateTime="2020-05-10"),
        observation("month", effectiveDateTime="2020-05"),
        observation("second", effectiveDateTime="2020-05-10T12:00:00Z"),
        observation("zoned", effectiveDateTime="2020-05-11T01:00:00+02:00"),
        observation("open", effectivePeriod={"start": "2020-05-10"}),
        observation("until", effectivePeriod={"end": "2020-05-09"}),
        observation("timing", effectiveTiming={"event": ["2020-05-01", "2020-05-20"]}),
        observation("schedule", effectiveTiming={"repeat": {"frequency": 1}}),
        observation("none"),
    )
    return searching


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("date=2020-05-10", "day second zoned"),
        ("date=eq2020-05-10", "day second zoned"),
        ("date=2020-05", "day month second timing zoned"),
        ("date=2020-05-10T12:00", "second"),
        ("date=2020-05-10T12:00:00", "second"),
        ("date=2020-05-10T12:00:00.000Z", ""),
        ("date=2020-05-10T23:00:00Z", "zoned"),
        ("date=2020-05-11T01:00:00 02:00", "zoned"),
        ("date=ne2020-05-10", "month open timing until"),
        ("date=gt2020-05-10", "month open timing"),
        ("date=ge2020-05-10", "day month open second timing zoned"),
        ("date=lt2020-05-10", "month timing until"),
        ("date=le2020-05-10", "day month second timing until zoned"),
        ("date=sa2020-05-09", "day open second zoned"),
        ("date=sa2020-05-10", ""),
        ("date=eb2020-05-10", "until"),
        ("date=eb2020-06", "day month second timing until zoned"),
        ("date=ap2020-05-10", "day month open second timing until zoned"),
        ("date=ge2020-05-10,lt2020-05-01", "day month open second timing until zoned"),
        ("date:missing=true", "none"),
    ],
)
def test_the_nine_prefixes(observations: Searching, query: str, expected: str) -> None:
    assert observations.find("Observation", query) == expected


def test_a_parameter_beside_the_clinical_date(searching: Searching) -> None:
    searching.write(
        {"resourceType": "Patient", "id": "a", "birthDate": "1980-02-29", "deceasedDateTime": "2020-01-01T10:00:00Z"},
        {"resourceType": "Patient", "id": "b", "birthDate": "1980"},
        {"resourceType": "Patient", "id": "c", "_birthDate": {"extension": [{"url": "urn:x", "valueCode": "unknown"}]}},
    )
    assert searching.find("Patient", "birthdate=1980") == "a b"
    assert searching.find("Patient", "birthdate=1980-02-29") == "a"
    assert searching.find("Patient", "birthdate=lt1980-03") == "a b"
    assert searching.find("Patient", "birthdate=ne1980-02-29") == "b"
    assert searching.find("Patient", "birthdate:missing=true") == "c"
    assert searching.find("Patient", "death-date=2020") == "a"


def test_any_of_several_values_matches(searching: Searching) -> None:
    searching.write(
        {
            "resourceType": "CarePlan", "id": "a", "status": "active", "intent": "plan",
            "activity": [
                {"detail": {"status": "scheduled", "scheduledPeriod": {"start": "2020", "end": "2020"}}},
                {"detail": {"status": "scheduled", "scheduledPeriod": {"start": "2022", "end": "2022"}}},
                {"detail": {"status": "scheduled", "scheduledString": "every day"}},
            ],
        }
    )  # fmt: skip
    assert searching.find("CarePlan", "activity-date=2020") == "a"
    assert searching.find("CarePlan", "activity-date=2021") == ""
    assert searching.find("CarePlan", "activity-date=ne2020") == "a"


@pytest.mark.parametrize(
    "query", ["date:exact=2020", "date=2020-02-30", "date=yesterday", "date=", "date=gt", "date=ge ge2020"]
)
def test_what_cannot_be_answered_is_refused(query: str) -> None:
    with pytest.raises(BadRequest, match=r"Supported: :missing|a date is written as"):
        date.where(clause("Observation", query), SqlParameters(1), Hasher(bytes(16)))


def test_overlap_as_a_filter_asks_for_it(searching: Searching) -> None:
    searching.write(
        {"resourceType": "Encounter", "id": "may", "period": {"start": "2020-05-01", "end": "2020-05-31"}},
        {"resourceType": "Encounter", "id": "open", "period": {"start": "2020-06-15"}},
        {"resourceType": "Encounter", "id": "day", "period": {"start": "2020-06-01", "end": "2020-06-01"}},
    )
    assert searching.find("Encounter", "date:po=2020-05-31") == "may"
    assert searching.find("Encounter", "date:po=2020-06") == "day open"
    assert searching.find("Encounter", "date:po=2020") == "day may open"
    assert searching.find("Encounter", "date:po=2019") == ""
    assert "po" not in modifiers(parameters("Encounter")["date"])
