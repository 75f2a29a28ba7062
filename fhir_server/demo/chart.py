"""One patient's record under construction: ids, dates and the transaction it becomes. https://hl7.org/fhir/R4/http.html#transaction"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Any

from fhir_server.demo.clinic import Clinic, StaffMember
from fhir_server.demo.datatypes import Element, reference
from fhir_server.demo.person import Person

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "http://example.org/fhir-server/demo")


def transaction(tenant: str, resources: Iterable[Element]) -> Element:
    """A transaction Bundle that puts each resource at its id. https://hl7.org/fhir/R4/http.html#transaction"""
    return {"resourceType": "Bundle", "type": "transaction", "entry": [_entry(tenant, each) for each in resources]}


def _entry(tenant: str, resource: Element) -> Element:
    address = f"{resource['resourceType']}/{resource['id']}"
    return {
        "fullUrl": f"urn:uuid:{uuid.uuid5(_NAMESPACE, f'{tenant}/{address}')}",
        "resource": resource,
        "request": {"method": "PUT", "url": address},
    }


class Chart:
    """Collects what is known of one person; every random choice comes from `rng`, seeded by tenant and person."""

    def __init__(self, clinic: Clinic, person: Person, today: date) -> None:
        self.clinic = clinic
        self.person = person
        self.today = today
        # No secret comes of it: the same person has to get the same record every day.
        self.rng = Random(f"{clinic.tenant}/{person.id}")  # noqa: S311
        self.resources: list[Element] = []
        self.height_cm: float | None = None
        self.weights: list[tuple[date, float]] = []
        self.coverage: Element = {}
        self.account: Element = {}
        self.insurer: Element = {}
        self._labels: Counter[str] = Counter()
        self._busy: set[date] = set()

    @property
    def horizon(self) -> date:
        """The day nothing clinical may come after: death, or today."""
        return self.person.died or self.today

    @property
    def alive(self) -> bool:
        """Whether the person lives today."""
        return self.person.died is None

    @property
    def subject(self) -> Element:
        """The reference every clinical resource carries."""
        return reference("Patient", self.person.id)

    @property
    def organization(self) -> Element:
        """The clinic itself."""
        return reference("Organization", self.clinic.tenant, self.clinic.name)

    @property
    def primary(self) -> StaffMember:
        """The person's general practitioner, by age."""
        age = self.person.age_on(self.horizon)
        return self.clinic.member("pediatrics" if age < 18 else "family" if age < 60 else "internal")

    def staff(self, key: str) -> Element:
        """A reference to the practitioner the stories call `key`; "primary" is the general practitioner."""
        member = self.primary if key == "primary" else self.clinic.member(key)
        return reference("Practitioner", member.id, member.name)

    def add(self, resource_type: str, label: str, **elements: Any) -> Element:
        """Add a resource whose id is the patient's and `label`, numbered when repeated; returns a reference to it.

        An element given as None is left out. A trailing underscore spares Python's own words (`class_`).
        """
        return self._append(resource_type, f"{self.person.id}-{self._numbered(resource_type, label)}", elements)

    def add_patient(self, **elements: Any) -> Element:
        """Add the Patient itself, whose id is the person's."""
        return self._append("Patient", self.person.id, elements)

    def find(self, ref: Element) -> Element:
        """The resource a reference returned by `add` leads to; KeyError when there is none."""
        return {f"{each['resourceType']}/{each['id']}": each for each in self.resources}[ref["reference"]]

    def of_type(self, resource_type: str) -> list[Element]:
        """The resources of one type, in the order they were added."""
        return [each for each in self.resources if each["resourceType"] == resource_type]

    def bundle(self) -> Element:
        """The record as a transaction Bundle."""
        return transaction(self.clinic.tenant, self.resources)

    def at(self, day: date, hour: int = 9, minute: int = 0) -> datetime:
        """A moment of that day in the clinic's time."""
        return datetime.combine(day, time(hour, minute), self.clinic.timezone)

    def weekday(self, day: date) -> date:
        """The same day, or the Friday before a weekend; a newborn's weekend moves to Monday."""
        moved = day - timedelta(days=max(0, day.weekday() - 4))
        return moved if moved >= self.person.born else day + timedelta(days=7 - day.weekday())

    def free_day(self, day: date) -> date:
        """The same working day, or one before it, on which the person is not at the clinic already."""
        while day in self._busy:
            day = self.weekday(day - timedelta(days=1))
        self._busy.add(day)
        return day

    def visit_days(self, count: int, every: int, *, last: int = 10) -> list[date]:
        """`count` working days `every` days apart, oldest first, the newest `last` days or more before the horizon."""
        newest = self.horizon - timedelta(days=last + self.rng.randint(0, 12))
        days = [self.weekday(newest - timedelta(days=every * back + self.rng.randint(-3, 3))) for back in range(count)]
        return sorted({day for day in days if self.person.born <= day < self.horizon - timedelta(days=3)})

    def about(self, value: float, spread: float) -> float:
        """The value give or take `spread`."""
        return value + self.rng.uniform(-spread, spread)

    def _numbered(self, resource_type: str, label: str) -> str:
        key = f"{resource_type}/{label}"
        self._labels[key] += 1
        return label if self._labels[key] == 1 else f"{label}-{self._labels[key]}"

    def _append(self, resource_type: str, resource_id: str, elements: dict[str, Any]) -> Element:
        body = {key.rstrip("_"): value for key, value in elements.items() if value is not None}
        self.resources.append({"resourceType": resource_type, "id": resource_id, **body})
        return reference(resource_type, resource_id)
