"""Laboratory tests and panels: unit, digits, reference range. https://hl7.org/fhir/R4/observation.html"""

from __future__ import annotations

from dataclasses import dataclass

from fhir_server.demo.codes import Code, loinc
from fhir_server.demo.codes.snomed import BLOOD, URINE


@dataclass(frozen=True, slots=True)
class LabTest:
    """One test: its UCUM unit, the digits a laboratory reports, and the usual adult range (either end may be open)."""

    label: str
    code: Code
    unit: str
    digits: int
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """What one order asks for, out of which kind of specimen."""

    label: str
    code: Code
    specimen: Code = BLOOD


HBA1C = LabTest("hba1c", loinc.HBA1C, "%", 1, 4.0, 5.6)
GLUCOSE = LabTest("glucose", loinc.GLUCOSE, "mg/dL", 0, 70, 99)
GLUCOSE_CHALLENGE = LabTest("glucose-challenge", loinc.GLUCOSE_CHALLENGE, "mg/dL", 0, None, 140)
UREA_NITROGEN = LabTest("urea-nitrogen", loinc.UREA_NITROGEN, "mg/dL", 0, 7, 20)
CREATININE = LabTest("creatinine", loinc.CREATININE, "mg/dL", 2, 0.60, 1.30)
EGFR = LabTest("egfr", loinc.EGFR, "mL/min/{1.73_m2}", 0, 60, None)
SODIUM = LabTest("sodium", loinc.SODIUM, "mmol/L", 0, 135, 145)
POTASSIUM = LabTest("potassium", loinc.POTASSIUM, "mmol/L", 1, 3.5, 5.1)
CHOLESTEROL = LabTest("cholesterol", loinc.CHOLESTEROL, "mg/dL", 0, None, 200)
TRIGLYCERIDES = LabTest("triglycerides", loinc.TRIGLYCERIDES, "mg/dL", 0, None, 150)
HDL = LabTest("hdl", loinc.HDL, "mg/dL", 0, 40, None)
LDL = LabTest("ldl", loinc.LDL, "mg/dL", 0, None, 130)
ALBUMIN_CREATININE = LabTest("albumin-creatinine", loinc.ALBUMIN_CREATININE, "mg/g", 1, None, 30.0)
TSH = LabTest("tsh", loinc.TSH, "m[IU]/L", 2, 0.40, 4.50)
FREE_T4 = LabTest("free-t4", loinc.FREE_T4, "ng/dL", 2, 0.80, 1.80)
HEMOGLOBIN = LabTest("hemoglobin", loinc.HEMOGLOBIN, "g/dL", 1, 12.0, 17.5)
HEMATOCRIT = LabTest("hematocrit", loinc.HEMATOCRIT, "%", 1, 36.0, 50.0)
LEUKOCYTES = LabTest("leukocytes", loinc.LEUKOCYTES, "10*3/uL", 1, 4.0, 11.0)
PLATELETS = LabTest("platelets", loinc.PLATELETS, "10*3/uL", 0, 150, 400)
LEAD = LabTest("lead", loinc.LEAD, "ug/dL", 1, None, 3.5)

DIABETES_MONITORING = Panel("hba1c-report", loinc.HBA1C)
METABOLIC = Panel("metabolic-panel", loinc.BASIC_METABOLIC_PANEL)
LIPIDS = Panel("lipid-panel", loinc.LIPID_PANEL)
BLOOD_COUNT = Panel("blood-count", loinc.BLOOD_COUNT_PANEL)
THYROID = Panel("thyroid-report", loinc.TSH)
URINE_ALBUMIN = Panel("urine-albumin", loinc.ALBUMIN_CREATININE, URINE)
GLUCOSE_SCREEN = Panel("glucose-screen", loinc.GLUCOSE_CHALLENGE)
LEAD_SCREEN = Panel("lead-screen", loinc.LEAD)
