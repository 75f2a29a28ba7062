"""Reading a record in tests: dates, resources by type and code, the person's age."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from tests.unit.demo.conftest import TODAY

Resource = dict[str, Any]
Record = list[Resource]

PLANNED = {
    "valueDateTime",
    "validityPeriod",
    "expirationDate",
    "dueDate",
    "restriction",
    "provision",
    "planningHorizon",
}
"""Elements that may speak of the time to come."""


def day_of(moment: str) -> date:
    """The day of a time, or the first day of a year or a month."""
    return date.fromisoformat(f"{moment}-01-01"[:10])


def time_of(moment: str) -> datetime:
    return datetime.fromisoformat(moment)


def dates_in(value: Any, name: str = "") -> Iterator[str]:
    """Every full date or time below an element, but for those that speak of the time to come."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key not in PLANNED:
                yield from dates_in(each, key)
    elif isinstance(value, list):
        for each in value:
            yield from dates_in(each, name)
    elif isinstance(value, str) and len(value) >= 10 and value[4:5] == value[7:8] == "-" and value[:4].isdigit():
        yield value


def of_type(record: Record, resource_type: str) -> Record:
    return [each for each in record if each["resourceType"] == resource_type]


def observed(record: Record, code: str) -> Record:
    """The observations with a LOINC code, oldest first."""
    found = [each for each in of_type(record, "Observation") if each["code"]["coding"][0]["code"] == code]
    return sorted(found, key=lambda each: time_of(each["effectiveDateTime"]))


def has(record: Record, code: str) -> bool:
    return any(
        coding["code"] == code
        for each in (*of_type(record, "Condition"), *of_type(record, "AllergyIntolerance"))
        for coding in each["code"]["coding"]
    )


def age_of(record: Record) -> int:
    end = day_of(record[0].get("deceasedDateTime", TODAY.isoformat()))
    return (end - day_of(record[0]["birthDate"])).days // 365
