"""Segments of version 2.5.1 as the simulated hospital writes them. https://www.hl7.eu/HL7v2x/v251/std251/hl7.htm"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hl7_gateway.escapes import escape
from hl7_gateway.message import Delimiters
from hl7_gateway.simulator.people import AUTHORITY, Person, town

_DELIMITERS: Final = Delimiters()


def text(plain: str) -> str:
    """A text as it can stand in a message."""
    return escape(plain, _DELIMITERS)


def stamp(moment: datetime) -> str:
    """A time with its offset."""
    return f"{moment:%Y%m%d%H%M%S%z}"


def segment(name: str, fields: Mapping[int, str]) -> str:
    """A segment of some of its fields."""
    return "|".join([name, *(fields.get(number, "") for number in range(1, max(fields) + 1))])


def msh(kind: str, event: str, structure: str, control_id: str, moment: datetime) -> str:
    """The header, of an application that asks for one acknowledgment."""
    fields = ["MSH", "^~\\&", "SIMULATOR", AUTHORITY, "GATEWAY", "CLINIC", stamp(moment), ""]
    return "|".join(
        [*fields, f"{kind}^{event}^{structure}", control_id, "T", "2.5.1", "", "", "", "", "", "UNICODE UTF-8"]
    )


def evn(moment: datetime) -> str:
    """When it was entered, and when it happened."""
    return segment("EVN", {2: stamp(moment), 6: stamp(moment)})


def pid(person: Person, account: str = "") -> str:
    """Who it is about. A phone that somebody gave up is deleted."""
    fields = {
        1: "1",
        3: f"{person.number}^^^{AUTHORITY}^MR",
        5: f"{text(person.family)}^{text(person.given)}^^^^^L",
        7: f"{person.born:%Y%m%d}",
        8: person.sex,
        11: f"{text(person.street)}^^{town()}^^H",
        13: f"{person.phone}^PRN^PH" if person.phone else '""',
        16: person.married,
    }
    return segment("PID", fields | ({18: f"{account}^^^{AUTHORITY}^AN"} if account else {}))


@dataclass(slots=True)
class Visit:
    """A stay, or a visit to the emergency department or an outpatient clinic. ``bed`` is PV1-3."""

    number: str
    person: Person
    kind: str
    bed: str
    attending: str
    began: datetime
    diagnosis: tuple[str, str]
    before: str = ""


def pv1(visit: Visit, discharged: datetime | None = None) -> str:
    """Where and with whom."""
    fields = {
        1: "1",
        2: visit.kind,
        3: visit.bed,
        7: visit.attending,
        10: "MED",
        19: f"{visit.number}^^^{AUTHORITY}^VN",
    }
    if visit.before:
        fields[6] = visit.before
    if discharged is not None:
        fields |= {36: "01", 45: stamp(discharged)}
    return segment("PV1", fields | {44: stamp(visit.began)})


def al1(allergy: tuple[str, str]) -> str:
    """An allergy to a drug."""
    return segment("AL1", {1: "1", 2: "DA", 3: f"{allergy[0]}^{text(allergy[1])}^RXNORM", 4: "MO"})


def dg1(visit: Visit) -> str:
    """Why they came."""
    code, said = visit.diagnosis
    return segment("DG1", {1: "1", 3: f"{code}^{text(said)}^I10", 5: stamp(visit.began), 6: "A"})


def observation(
    number: int, code: str, value: str, unit: str, limits: str, flag: str, status: str, at: datetime
) -> str:
    """A measured number."""
    fields = {1: str(number), 2: "NM", 3: code, 5: value, 6: f"{unit}^{unit}^UCUM", 7: limits, 8: flag, 11: status}
    return segment("OBX", fields | {14: stamp(at)})
