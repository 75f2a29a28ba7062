"""The searches that are measured one by one, of every kind that FHIR has. https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from urllib.parse import quote

from benchmarks.population import CITY, DIAGNOSES, FAMILY, FIRST, LAB_TESTS, PRACTITIONERS, Zipf
from benchmarks.synthetic import LOINC, SITE, SNOMED

FIRST_PAGE, DEEP_PAGE = "first page", "deep page"
COMMON = "8867-4"
"""The most common code of an Observation."""

PATIENT, COUNT, CHAIN, PAGE = 3.0, 5.0, 15.0, 1.5
"""What is allowed: milliseconds of the server for the median request; and a deep page as a multiple of the first."""


@dataclass(frozen=True, slots=True)
class Search:
    """One kind of search: ``paths`` below the FHIR base, asked for in turn. ``allowed`` is in ms, None for no target.

    ``pages`` says how many ``next`` links are followed before the page that is measured.
    """

    group: str
    title: str
    paths: tuple[str, ...]
    allowed: float | None = None
    pages: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """What there is to ask for: logical ids of patients, values of identifiers."""

    patients: Sequence[str]
    identifiers: Sequence[str]


MIX: tuple[tuple[str, str, float | None], ...] = (
    ("patient-scoped", "Observation?patient={patient}&_count=20", PATIENT),
    ("patient-scoped", "Observation?patient={patient}&code={test}", PATIENT),
    ("patient-scoped", "Observation?subject=Patient/{patient}&date=ge{year}&_sort=-date", PATIENT),
    ("patient-scoped", "Encounter?patient={patient}&status=finished", PATIENT),
    ("patient-scoped", "Condition?patient={patient}&_count=100", PATIENT),
    ("compartment", "Patient/{patient}/Observation?_count=20", PATIENT),
    ("compartment", "Patient/{patient}/*?_count=20", PATIENT),
    ("token count", "Observation?code={test}&_summary=count", COUNT),
    ("token count", "Condition?code={diagnosis}&_summary=count", COUNT),
    ("token count", "Encounter?status={status}&_summary=count", COUNT),
    ("string", "Patient?family={family}&_count=20", None),
    ("string", "Patient?name={given}&_count=100", None),
    ("string", "Patient?address-city={city}&_count=20", None),
    ("date", "Observation?date=ge{year}-03-01&date=lt{same_year}-05-01&_count=20", None),
    ("date", "Observation?date={year}-05-15&_count=100", None),
    ("date", "Observation?date=ge{year}&_count=20", None),
    ("date", "Patient?birthdate=lt{born}-01-01&_count=20", None),
    ("token", "Observation?code={test}&_count=20", None),
    ("token", "Observation?code={test}&status=amended&_count=100", None),
    ("token", "Observation?code={test},{test}&_count=20", None),
    ("token", "Patient?identifier={identifier}", None),
    ("reference", "Observation?performer=Practitioner/{staff}&_count=100", None),
    ("reference", "Encounter?subject=Patient/{patient}", None),
    ("quantity", "Observation?value-quantity=gt{high}&_count=20", None),
    ("quantity", "Observation?code={test}&value-quantity=lt{low}&_count=20", None),
    ("quantity", "Observation?value-quantity=gt{high}&_count=100", None),
    ("composite", "Observation?code-value-quantity={test}$gt{low}&_count=20", None),
    ("chain", "Observation?subject:Patient.family={family}&_count=20", CHAIN),
    ("chain", "Observation?patient.gender={gender}&_count=20", CHAIN),
    ("chain", "Observation?code={test}&subject:Patient.address-city={city}&_count=20", CHAIN),
    ("chain", "Claim?patient.birthdate=ge{born}&_count=20", CHAIN),
    ("chain", "Observation?encounter:Encounter.subject:Patient.family={family}&_count=20", CHAIN),
    ("_has", "Patient?_has:Observation:patient:code={test}&_count=20", CHAIN),
    ("_has", "Patient?_has:Condition:patient:code={diagnosis}&gender=female&_count=20", CHAIN),
    ("_has", "Patient?family={family}&_has:Observation:patient:code={test}&_count=20", CHAIN),
    ("include", "Observation?code={test}&_include=Observation:patient&_count=20", None),
    ("include", "MedicationRequest?patient={patient}&_include=MedicationRequest:requester", None),
    ("include", "Patient?family={family}&_revinclude=Condition:patient&_count=20", None),
    ("system", "?_type=Observation,Encounter&_lastUpdated=gt2020-09-13&_count=20", None),
)
"""Group, path with names of `Values` in braces, and the milliseconds allowed."""


class Values:
    """A value by name each time that one is asked for, drawn as clinics would ask: what is common most often."""

    def __init__(self, sample: Sample, rng: Random) -> None:
        self._year = 0
        staff = Zipf(range(PRACTITIONERS))
        self._makers: dict[str, Callable[[], object]] = {
            "patient": lambda: rng.choice(sample.patients),
            "identifier": lambda: rng.choice(sample.identifiers),
            "test": lambda: _test(LAB_TESTS.one(rng)[1]),
            "diagnosis": lambda: _token(SNOMED, DIAGNOSES.one(rng)[0]),
            "status": lambda: rng.choice(("cancelled", "planned", "in-progress")),
            "gender": lambda: rng.choice(("female", "male")),
            "family": lambda: quote(FAMILY.one(rng)),
            "given": lambda: quote(FIRST.one(rng)),
            "city": lambda: CITY.one(rng),
            "staff": lambda: f"staff-{staff.one(rng)}",
            "year": lambda: rng.randrange(2016, 2024),
            "born": lambda: rng.randrange(1940, 1990),
            "high": lambda: rng.randrange(100, 240),
            "low": lambda: rng.randrange(20, 100),
        }

    def __getitem__(self, name: str) -> object:
        if name == "same_year":
            return self._year
        value = self._makers[name]()
        if name == "year":
            self._year = int(str(value))
        return value


def searches(sample: Sample, rng: Random, different: int, pages: int) -> list[Search]:
    """All of them, each with up to ``different`` values; the deep pages are ``pages`` links on."""
    values = Values(sample, rng)
    found = []
    for group, path, allowed in MIX:
        paths = dict.fromkeys(path.format_map(values) for _ in range(different))  # type: ignore[arg-type]
        found.append(Search(group, path, tuple(paths), allowed))
    return [*found, *_sorted(pages)]


def _sorted(pages: int) -> Iterator[Search]:
    for query in (
        "Observation?_sort=-date&_count=100",
        f"Observation?code={COMMON}&_sort=-date&_count=100",
        "Patient?_sort=family&_count=20",
        "Patient?_sort=-birthdate&gender=female&_count=20",
        "Observation?_sort=value-quantity&_count=100",
        "Observation?_sort=-_lastUpdated&_count=100",
        f"Observation?code={COMMON}&_count=100",
    ):
        yield Search(FIRST_PAGE, query, (query,))
        yield Search(DEEP_PAGE, query, (query,), pages=pages)


def _test(code: str) -> str:
    return _token(f"{SITE}/tests" if code.startswith("T") else LOINC, code)


def _token(system: str, code: str) -> str:
    return quote(f"{system}|{code}", safe="")
