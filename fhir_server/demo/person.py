"""Who a demo patient is, before anything is written down. https://hl7.org/fhir/R4/patient.html"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta


@dataclass(frozen=True, slots=True)
class Person:
    """One invented patient; `born` is exact, `precision` says how much of it the clinic knows ("day", "month", "year").

    `local_name` is the (family, given) in the person's own script; `died` is the day of death; `stories` name what the
    record tells.
    """

    id: str
    given: tuple[str, ...]
    family: str
    sex: str
    born: date
    stories: tuple[str, ...]
    language: str = "en"
    maiden: str | None = None
    local_name: tuple[str, str] | None = None
    race: tuple[str, str] | None = None
    died: date | None = None
    precision: str = "day"

    def age_on(self, day: date) -> int:
        """Completed years on that day."""
        return day.year - self.born.year - ((day.month, day.day) < (self.born.month, self.born.day))

    def months_on(self, day: date) -> int:
        """Completed months on that day."""
        return (day.year - self.born.year) * 12 + day.month - self.born.month - (day.day < self.born.day)

    @property
    def birth_date(self) -> str:
        """The birth date as the clinic knows it: YYYY-MM-DD, YYYY-MM or YYYY."""
        return self.born.isoformat()[: {"day": 10, "month": 7, "year": 4}[self.precision]]


def years_before(day: date, years: int, days: int = 0) -> date:
    """The day that many years (and days) earlier; 29 February becomes the 28th."""
    try:
        anniversary = day.replace(year=day.year - years)
    except ValueError:
        anniversary = day.replace(year=day.year - years, day=28)
    return anniversary - timedelta(days=days)
