"""RxNorm: the drugs prescribed, with how each is taken. https://hl7.org/fhir/R4/rxnorm.html"""

from __future__ import annotations

from dataclasses import dataclass

from fhir_server.demo.codes import Code
from fhir_server.demo.codes.snomed import INHALED, ORAL

SYSTEM = "http://www.nlm.nih.gov/research/umls/rxnorm"


@dataclass(frozen=True, slots=True)
class Drug:
    """One drug and its usual dose: `amount` of `unit` (a UCUM code), `times` a day, for `days` a supply."""

    label: str
    code: Code
    amount: int
    unit: str
    times: int
    days: int
    route: Code = ORAL
    as_needed: bool = False

    @property
    def sig(self) -> str:
        """The instruction as a person reads it."""
        often = {1: "once daily", 2: "twice daily", 3: "three times daily", 4: "up to four times daily"}[self.times]
        return f"{self.amount} {self.unit.strip('{}')} {often}{' as needed' if self.as_needed else ''}"


def _drug(
    label: str,
    code: str,
    display: str,
    amount: int = 1,
    unit: str = "{tablet}",
    times: int = 1,
    days: int = 90,
    route: Code = ORAL,
    as_needed: bool = False,
) -> Drug:
    return Drug(label, Code(SYSTEM, code, display), amount, unit, times, days, route, as_needed)


METFORMIN = _drug("metformin", "860975", "24 HR metformin hydrochloride 500 MG Extended Release Oral Tablet", times=2)
LISINOPRIL = _drug("lisinopril", "314076", "lisinopril 10 MG Oral Tablet")
AMLODIPINE = _drug("amlodipine", "197361", "amlodipine 5 MG Oral Tablet")
HYDROCHLOROTHIAZIDE = _drug("hydrochlorothiazide", "310798", "hydrochlorothiazide 25 MG Oral Tablet")
SIMVASTATIN = _drug("simvastatin", "312961", "simvastatin 20 MG Oral Tablet")
LEVOTHYROXINE = _drug("levothyroxine", "892246", "levothyroxine sodium 0.1 MG Oral Tablet")
SERTRALINE = _drug("sertraline", "312941", "sertraline 50 MG Oral Tablet", days=30)
ALBUTEROL = _drug(
    "albuterol",
    "2123111",
    "NDA020503 200 ACTUAT albuterol 0.09 MG/ACTUAT Metered Dose Inhaler",
    amount=2,
    unit="{puff}",
    times=4,
    days=25,
    route=INHALED,
    as_needed=True,
)
FLUTICASONE = _drug(
    "fluticasone",
    "895994",
    "120 ACTUAT fluticasone propionate 0.044 MG/ACTUAT Metered Dose Inhaler",
    amount=2,
    unit="{puff}",
    times=2,
    days=30,
    route=INHALED,
)
FLUTICASONE_SALMETEROL = _drug(
    "fluticasone-salmeterol",
    "896209",
    "60 ACTUAT fluticasone propionate 0.25 MG/ACTUAT / salmeterol 0.05 MG/ACTUAT Dry Powder Inhaler",
    unit="{puff}",
    times=2,
    days=30,
    route=INHALED,
)
PREDNISONE = _drug("prednisone", "312615", "prednisone 20 MG Oral Tablet", amount=2, days=5)
IBUPROFEN = _drug("ibuprofen", "197806", "ibuprofen 600 MG Oral Tablet", times=3, days=14, as_needed=True)
NAPROXEN = _drug("naproxen", "198014", "naproxen 500 MG Oral Tablet", times=2, days=30)
CYCLOBENZAPRINE = _drug("cyclobenzaprine", "828348", "cyclobenzaprine hydrochloride 10 MG Oral Tablet", days=14)
ACETAMINOPHEN = _drug("acetaminophen", "313782", "acetaminophen 325 MG Oral Tablet", 2, times=4, days=7, as_needed=True)
LORATADINE = _drug("loratadine", "311372", "loratadine 10 MG Oral Tablet", days=30)
AMOXICILLIN_SUSPENSION = _drug(
    "amoxicillin", "308189", "amoxicillin 80 MG/ML Oral Suspension", amount=6, unit="mL", times=2, days=10
)
FERROUS_SULFATE = _drug("ferrous-sulfate", "310325", "ferrous sulfate 325 MG Oral Tablet")
