"""Who the patients of each clinic are: a few written by hand, the others drawn from the name pools.
docs/operations.md"""

# ruff: noqa: RUF001 -- names stand in their own scripts
from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from random import Random

from fhir_server.demo import names
from fhir_server.demo.clinic import Clinic
from fhir_server.demo.person import Person, years_before
from fhir_server.demo.stories.registry import STORIES

PATIENTS = {"riverside": 60, "hillside": 30}
"""How many patients each clinic has."""

_DRAWN = (
    ("diabetes",),
    ("well_child",),
    ("hypertension",),
    ("asthma",),
    ("pregnancy",),
    ("osteoarthritis",),
    ("depression",),
    ("well_child",),
    ("hypothyroidism",),
    ("motor_vehicle",),
    ("copd",),
    ("kidney_disease", "hypertension"),
    ("diabetes", "hypertension"),
    ("well_adult",),
)


def people(clinic: Clinic, today: date) -> Iterator[Person]:
    """The clinic's patients, p001 first."""
    written = list(_riverside(today) if clinic.tenant == "riverside" else _hillside(today))
    yield from written
    for number in range(len(written) + 1, PATIENTS[clinic.tenant] + 1):
        yield _drawn(clinic, number, today)


def _riverside(today: date) -> Iterator[Person]:
    def born(age: int, days: int) -> date:
        return years_before(today, age, days)

    yield Person(
        "p001",
        ("María", "Elena"),
        "López",
        "female",
        born(58, 120),
        ("diabetes", "hypertension"),
        language="es",
        maiden="García Núñez",
        race=names.WHITE,
    )
    yield Person("p002", ("James", "Arthur"), "Whitaker", "male", born(41, 33), ("motor_vehicle",), race=names.BLACK)
    yield Person("p003", ("Sofia",), "Reyes", "female", born(29, 200), ("pregnancy",), language="es", maiden="Ruiz")
    yield Person("p004", ("Ethan", "Cole"), "Bradshaw", "male", born(8, 75), ("asthma",), race=names.WHITE)
    yield Person("p005", ("Ava", "June"), "Reyes", "female", born(2, 40), ("well_child",), language="es")
    yield Person("p006", ("Harold",), "Nyström", "male", born(73, 310), ("copd",), died=today - timedelta(days=95))
    yield Person(
        "p007",
        ("Xiu", "Ying"),
        "Chen",
        "female",
        born(66, 12),
        ("osteoarthritis",),
        language="zh",
        local_name=("陈", "秀英"),
        race=names.ASIAN,
    )
    yield Person("p008", ("Aaliyah",), "Jefferson", "female", born(34, 260), ("depression",), race=names.BLACK)
    yield Person(
        "p009",
        ("Omar",),
        "Al-Rashid",
        "male",
        born(69, 150),
        ("kidney_disease", "hypertension"),
        language="ar",
        local_name=("الرشيد", "عمر"),
        precision="year",
    )
    yield Person("p010", ("Brigid",), "O’Sullivan", "female", born(47, 90), ("hypothyroidism",), maiden="Fahey")


def _hillside(today: date) -> Iterator[Person]:
    def born(age: int, days: int) -> date:
        return years_before(today, age, days)

    yield Person(
        "p001",
        ("Haruto",),
        "Fujimoto",
        "male",
        born(62, 45),
        ("diabetes", "hypertension"),
        language="ja",
        local_name=("藤本", "陽翔"),
        race=names.ASIAN,
    )
    yield Person("p002", ("Kalani",), "Kaʻanāʻanā", "female", born(31, 20), ("pregnancy",), race=names.PACIFIC)
    yield Person("p003", ("Nalu",), "Kaʻanāʻanā", "male", born(4, 130), ("well_child",), race=names.PACIFIC)
    yield Person("p004", ("Tiago",), "Magalhães", "male", born(38, 5), ("motor_vehicle",), language="pt")
    yield Person(
        "p005", ("Edith", "Rose"), "Pemberton", "female", born(81, 220), ("copd",), died=today - timedelta(days=40)
    )


def _drawn(clinic: Clinic, number: int, today: date) -> Person:
    rng = Random(f"{clinic.tenant}/person/{number}")  # noqa: S311 -- invented people, no secrets
    stories = _DRAWN[number % len(_DRAWN)]
    sexes = [sex for sex in ("female", "male") if all(sex in STORIES[each].sexes for each in stories)]
    sex = sexes[rng.randrange(len(sexes))]
    youngest = max(STORIES[each].ages[0] for each in stories)
    oldest = min(STORIES[each].ages[1] for each in stories)
    age = rng.randint(youngest, oldest)
    communities = names.COMMUNITIES[clinic.tenant]
    community = communities[number % len(communities)]
    given, given_local = _in_both(rng.choice(community.female if sex == "female" else community.male))
    family, family_local = _in_both(rng.choice(community.families))
    maiden, _ = _in_both(rng.choice(community.families))
    dies = age >= 70 and rng.random() < 0.3
    return Person(
        id=f"p{number:03}",
        given=(given,),
        family=family,
        sex=sex,
        born=years_before(today, age, rng.randint(1, 360)),
        stories=stories,
        language=community.language,
        race=community.race,
        maiden=maiden if sex == "female" and age > 25 and number % 3 == 0 else None,
        local_name=(family_local, given_local) if family_local and given_local else None,
        died=today - timedelta(days=rng.randint(20, 200)) if dies else None,
        precision="month" if number % 17 == 0 and age > 18 else "day",
    )


def _in_both(name: str | tuple[str, str]) -> tuple[str, str | None]:
    return (name, None) if isinstance(name, str) else name
