"""What clients do, over plain FHIR REST that any server answers. https://hl7.org/fhir/R4/http.html"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from benchmarks.driver import Script, Step
from benchmarks.synthetic import LOINC, SNOMED
from benchmarks.wire import Answer, Target

ID_MARK = b"@id@"
SERIAL_MARK = b"@serial@"


@dataclass(frozen=True, slots=True)
class Fixed:
    """The same requests over and over; connections begin at different ones."""

    steps: Sequence[Step]

    def scripts(self, connections: int) -> list[Script]:
        """See driver.Workload."""
        return [self._script(n * len(self.steps) // connections) for n in range(connections)]

    def _script(self, first: int) -> Script:
        steps = [*self.steps[first:], *self.steps[:first]]
        for step in itertools.cycle(steps):  # noqa: UP028 - a bare iterator cannot be sent the answers
            yield step


@dataclass(frozen=True, slots=True)
class Updates:
    """PUT of new content to resources that exist: each connection has its own, and each pass changes them.

    ``bodies`` are resources with `SERIAL_MARK` where the content changes, beside the path of each.
    """

    target: Target
    bodies: Sequence[tuple[str, bytes]]

    def scripts(self, connections: int) -> list[Script]:
        """See driver.Workload."""
        return [self._script(self.bodies[n::connections], n) for n in range(connections)]

    def _script(self, bodies: Sequence[tuple[str, bytes]], number: int) -> Script:
        for turn in itertools.count(1):
            serial = b"%d-%d" % (number, turn)
            for path, body in bodies:
                yield "update", self.target.put(path, body.replace(SERIAL_MARK, serial))


@dataclass(frozen=True, slots=True)
class CrudCycle:
    """Create, read, update, search, delete, for each type in turn.

    ``bodies`` are (resource type, resource) with `ID_MARK` as the id and `SERIAL_MARK` as the value of an identifier
    whose system is ``system``; a search by it finds one resource.
    """

    target: Target
    system: str
    bodies: Sequence[tuple[str, bytes]]
    salt: str

    def scripts(self, connections: int) -> list[Script]:
        """See driver.Workload."""
        return [self._script(n) for n in range(connections)]

    def _script(self, number: int) -> Script:
        target, without_id = self.target, b'"id":"' + ID_MARK + b'",'
        for turn in itertools.count():
            serial = f"{self.salt}-{number}-{turn}"
            for resource_type, template in self.bodies:
                body = template.replace(SERIAL_MARK, serial.encode())
                created: Answer = yield "create", target.post(resource_type, body.replace(without_id, b""))
                if created.status >= 400:
                    # Counted as a failure; without an id there is nothing to go on with.
                    continue
                path = f"{resource_type}/{created.logical_id()}"
                yield "read", target.get(path)
                changed = body.replace(ID_MARK, path.partition("/")[2].encode()).replace(b"benchmark", b"changed")
                yield "update", target.put(path, changed)
                yield "search", target.get(f"{resource_type}?identifier={quote(f'{self.system}|{serial}', safe='')}")
                yield "delete", target.delete(path)


def search_mix(target: Target, patients: Sequence[str], count: int = 100) -> list[Step]:
    """Searches by each type of parameter, a page of ``count`` each. https://hl7.org/fhir/R4/search.html#ptypes

    ``patients`` are logical ids.
    """
    page = f"_count={count}"
    queries = [("string", f"Patient?family={quote(start)}&{page}") for start in ("Adl", "gar", "Whitaker", "P", "sor")]
    queries += [("string", f"Patient?name={start}&{page}") for start in ("Am", "fe", "Keiko")]
    queries += [("date", f"Observation?date=ge{year}-03-01&date=lt{year}-05-01&{page}") for year in range(2016, 2021)]
    queries += [("date", f"Patient?birthdate=lt{year}-01-01&{page}") for year in (1950, 1970, 1990)]
    queries += [
        ("token", f"Observation?code={_token(LOINC, code)}&{page}") for code in ("8867-4", "4548-4", "2339-0", "718-7")
    ]
    queries += [("token", f"Condition?code={_token(SNOMED, code)}&{page}") for code in ("44054006", "195967001")]
    queries += [("token", f"Encounter?status=finished&{page}"), ("token", f"Patient?gender=female&{page}")]
    queries += [("reference", f"Encounter?subject=Patient/{patient}&{page}") for patient in patients[:4]]
    queries += [("reference", f"Observation?patient={patient}&{page}") for patient in patients[4:8]]
    queries += [("quantity", f"Observation?value-quantity=gt{value}&{page}") for value in (150, 180, 210)]
    queries += [("quantity", f"Observation?code={_token(LOINC, '4548-4')}&value-quantity=gt7&{page}")]
    return [(kind, target.get(query)) for kind, query in queries]


def _token(system: str, code: str) -> str:
    return quote(f"{system}|{code}", safe="")
