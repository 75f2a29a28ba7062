"""Problems by SNOMED CT and ICD-10-CM: what is treated, and what is billed. https://hl7.org/fhir/R4/icd.html"""

from __future__ import annotations

from dataclasses import dataclass

from fhir_server.demo.codes import Code
from fhir_server.demo.codes.snomed import SYSTEM as SNOMED

ICD10CM = "http://hl7.org/fhir/sid/icd-10-cm"


@dataclass(frozen=True, slots=True)
class Problem:
    """One diagnosis: the label its resource ids carry, its clinical code and its billing code."""

    label: str
    snomed: Code
    icd10: Code


def _problem(label: str, snomed: str, display: str, icd10: str, icd10_display: str) -> Problem:
    return Problem(label, Code(SNOMED, snomed, display), Code(ICD10CM, icd10, icd10_display))


DIABETES = _problem(
    "diabetes", "44054006", "Diabetes mellitus type 2", "E11.9", "Type 2 diabetes mellitus without complications"
)
HYPERTENSION = _problem("hypertension", "59621000", "Essential hypertension", "I10", "Essential (primary) hypertension")
HYPERLIPIDEMIA = _problem("hyperlipidemia", "55822004", "Hyperlipidemia", "E78.5", "Hyperlipidemia, unspecified")
ASTHMA = _problem("asthma", "195967001", "Asthma", "J45.30", "Mild persistent asthma, uncomplicated")
ALLERGIC_RHINITIS = _problem(
    "rhinitis", "367498001", "Seasonal allergic rhinitis", "J30.2", "Other seasonal allergic rhinitis"
)
PREGNANCY = _problem(
    "pregnancy",
    "72892002",
    "Normal pregnancy",
    "Z34.90",
    "Encounter for supervision of normal pregnancy, unspecified, unspecified trimester",
)
KNEE_OSTEOARTHRITIS = _problem(
    "osteoarthritis",
    "239873007",
    "Osteoarthritis of knee",
    "M17.11",
    "Unilateral primary osteoarthritis, right knee",
)
WHIPLASH = _problem(
    "whiplash",
    "39848009",
    "Whiplash injury to neck",
    "S13.4XXA",
    "Sprain of ligaments of cervical spine, initial encounter",
)
CLAVICLE_FRACTURE = _problem(
    "clavicle-fracture",
    "58150001",
    "Fracture of clavicle",
    "S42.002A",
    "Fracture of unspecified part of left clavicle, initial encounter for closed fracture",
)
DEPRESSION = _problem(
    "depression",
    "370143000",
    "Major depressive disorder",
    "F32.1",
    "Major depressive disorder, single episode, moderate",
)
COPD = _problem(
    "copd",
    "13645005",
    "Chronic obstructive pulmonary disease",
    "J44.9",
    "Chronic obstructive pulmonary disease, unspecified",
)
HYPOTHYROIDISM = _problem("hypothyroidism", "40930008", "Hypothyroidism", "E03.9", "Hypothyroidism, unspecified")
CHRONIC_KIDNEY_DISEASE = _problem(
    "kidney-disease",
    "433144002",
    "Chronic kidney disease stage 3",
    "N18.30",
    "Chronic kidney disease, stage 3 unspecified",
)
OTITIS_MEDIA = _problem("otitis", "65363002", "Otitis media", "H66.90", "Otitis media, unspecified, unspecified ear")
PHARYNGITIS = _problem(
    "pharyngitis", "195662009", "Acute viral pharyngitis", "J02.8", "Acute pharyngitis due to other specified organisms"
)
WELL_ADULT = _problem(
    "well-adult",
    "162673000",
    "General examination of patient",
    "Z00.00",
    "Encounter for general adult medical examination without abnormal findings",
)
WELL_CHILD = _problem(
    "well-child",
    "410620009",
    "Well child visit",
    "Z00.129",
    "Encounter for routine child health examination without abnormal findings",
)
