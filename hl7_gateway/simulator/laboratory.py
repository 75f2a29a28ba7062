"""Results as a laboratory reports them: preliminary, final, and now and then corrected. https://loinc.org/"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Final

from hl7_gateway.simulator.people import AUTHORITY
from hl7_gateway.simulator.segments import Visit, observation, pid, pv1, segment, stamp


@dataclass(frozen=True, slots=True)
class Analyte:
    """What is measured, in which unit, and between which limits it is usual."""

    code: str
    unit: str
    low: float
    high: float
    digits: int


PANELS: Final = {
    "24323-8^Comprehensive metabolic panel^LN": (
        Analyte("2345-7^Glucose^LN", "mg/dL", 70, 99, 0),
        Analyte("2951-2^Sodium^LN", "mmol/L", 136, 145, 0),
        Analyte("2823-3^Potassium^LN", "mmol/L", 3.5, 5.1, 1),
        Analyte("2160-0^Creatinine^LN", "mg/dL", 0.6, 1.2, 2),
    ),
    "58410-2^Complete blood count^LN": (
        Analyte("718-7^Hemoglobin^LN", "g/dL", 12, 17, 1),
        Analyte("6690-2^Leukocytes^LN", "10*3/uL", 4, 11, 1),
        Analyte("777-3^Platelets^LN", "10*3/uL", 150, 400, 0),
    ),
}


@dataclass(slots=True)
class Order:
    """An order and what was measured so far. ``status`` is P, F or C, "" before anything was reported."""

    number: str
    visit: Visit
    panel: str
    taken: datetime
    status: str = ""
    values: dict[str, float] = field(default_factory=dict)

    def advance(self, random: Random) -> None:
        """The next report: what is preliminary lacks the last value, a correction changes one."""
        analytes = PANELS[self.panel]
        if not self.status and random.random() < 0.6:
            self.status = "P"
            self._measure(analytes[:-1], random)
        elif self.status in ("", "P"):
            self.status = "F"
            self._measure(analytes, random)
        else:
            self.status = "C"
            wrong = random.choice(analytes)
            del self.values[wrong.code]
            self._measure((wrong,), random)

    def _measure(self, analytes: tuple[Analyte, ...], random: Random) -> None:
        for one in analytes:
            middle, width = (one.low + one.high) / 2, (one.high - one.low) / 2
            if one.code not in self.values:
                self.values[one.code] = round(max(0.1, random.gauss(middle, width * 0.8)), one.digits)

    def segments(self, moment: datetime) -> list[str]:
        """The report as it is now."""
        placer, filler = f"P{self.number}^{AUTHORITY}", f"L{self.number}^{AUTHORITY}LAB"
        obr = {
            1: "1",
            2: placer,
            3: filler,
            4: self.panel,
            7: stamp(self.taken),
            16: self.visit.attending,
            22: stamp(moment),
            24: "CH",
            25: self.status,
        }
        lines = [pid(self.visit.person), pv1(self.visit), segment("ORC", {1: "RE", 2: placer, 3: filler})]
        lines.append(segment("OBR", obr))
        measured = [one for one in PANELS[self.panel] if one.code in self.values]
        for number, one in enumerate(measured, 1):
            value = self.values[one.code]
            flag = "L" if value < one.low else "H" if value > one.high else "N"
            shown, limits = f"{value:.{one.digits}f}", f"{one.low:g}-{one.high:g}"
            lines.append(observation(number, one.code, shown, one.unit, limits, flag, self.status, self.taken))
        return lines


def order(random: Random, number: str, visit: Visit, moment: datetime) -> Order:
    """A new order, its specimen taken a while ago."""
    taken = moment - timedelta(minutes=random.randrange(10, 90))
    return Order(number, visit, random.choice(sorted(PANELS)), max(taken, visit.began))
