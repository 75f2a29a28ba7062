"""LOINC: observations, panels, kinds of document. https://hl7.org/fhir/R4/loinc.html"""

from __future__ import annotations

from fhir_server.demo.codes import Code

SYSTEM = "http://loinc.org"


def _loinc(code: str, display: str) -> Code:
    return Code(SYSTEM, code, display)


BLOOD_PRESSURE = _loinc("85354-9", "Blood pressure panel with all children optional")
SYSTOLIC = _loinc("8480-6", "Systolic blood pressure")
DIASTOLIC = _loinc("8462-4", "Diastolic blood pressure")
HEART_RATE = _loinc("8867-4", "Heart rate")
RESPIRATORY_RATE = _loinc("9279-1", "Respiratory rate")
TEMPERATURE = _loinc("8310-5", "Body temperature")
WEIGHT = _loinc("29463-7", "Body weight")
HEIGHT = _loinc("8302-2", "Body height")
BODY_MASS_INDEX = _loinc("39156-5", "Body mass index (BMI) [Ratio]")
OXYGEN_SATURATION = _loinc("2708-6", "Oxygen saturation in Arterial blood")
PULSE_OXIMETRY = _loinc("59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry")
HEAD_CIRCUMFERENCE = _loinc("9843-4", "Head Occipital-frontal circumference")

SMOKING_STATUS = _loinc("72166-2", "Tobacco smoking status")
PAIN_SEVERITY = _loinc("72514-3", "Pain severity - 0-10 verbal numeric rating [Score] - Reported")
FEV1 = _loinc("20150-9", "FEV1")
FEV1_FVC = _loinc("19926-5", "FEV1/FVC")
PEAK_FLOW = _loinc("19935-6", "Maximum expiratory gas flow Respiratory system airway by Peak flow meter")
LAST_MENSTRUAL_PERIOD = _loinc("8665-2", "Last menstrual period start date")
DELIVERY_DATE_ESTIMATED = _loinc("11778-8", "Delivery date Estimated")
FETAL_HEART_RATE = _loinc("55283-6", "Fetal Heart rate")
FUNDAL_HEIGHT = _loinc("11881-0", "Uterus Fundal height Tape measure")

HBA1C = _loinc("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood")
GLUCOSE = _loinc("2345-7", "Glucose [Mass/volume] in Serum or Plasma")
GLUCOSE_CHALLENGE = _loinc("1504-0", "Glucose [Mass/volume] in Serum or Plasma --1 hour post 50 g glucose PO")
UREA_NITROGEN = _loinc("3094-0", "Urea nitrogen [Mass/volume] in Serum or Plasma")
CREATININE = _loinc("2160-0", "Creatinine [Mass/volume] in Serum or Plasma")
EGFR = _loinc(
    "98979-8",
    "Glomerular filtration rate/1.73 sq M.predicted [Volume Rate/Area] in Serum, Plasma or Blood "
    "by Creatinine-based formula (CKD-EPI 2021)",
)
SODIUM = _loinc("2951-2", "Sodium [Moles/volume] in Serum or Plasma")
POTASSIUM = _loinc("2823-3", "Potassium [Moles/volume] in Serum or Plasma")
CHLORIDE = _loinc("2075-0", "Chloride [Moles/volume] in Serum or Plasma")
BICARBONATE = _loinc("2028-9", "Carbon dioxide, total [Moles/volume] in Serum or Plasma")
CHOLESTEROL = _loinc("2093-3", "Cholesterol [Mass/volume] in Serum or Plasma")
TRIGLYCERIDES = _loinc("2571-8", "Triglyceride [Mass/volume] in Serum or Plasma")
HDL = _loinc("2085-9", "Cholesterol in HDL [Mass/volume] in Serum or Plasma")
LDL = _loinc("13457-7", "Cholesterol in LDL [Mass/volume] in Serum or Plasma by calculation")
ALBUMIN_CREATININE = _loinc("14959-1", "Microalbumin/Creatinine [Mass Ratio] in Urine")
TSH = _loinc("3016-3", "Thyrotropin [Units/volume] in Serum or Plasma")
FREE_T4 = _loinc("3024-7", "Thyroxine (T4) free [Mass/volume] in Serum or Plasma")
HEMOGLOBIN = _loinc("718-7", "Hemoglobin [Mass/volume] in Blood")
HEMATOCRIT = _loinc("4544-3", "Hematocrit [Volume Fraction] of Blood by Automated count")
LEUKOCYTES = _loinc("6690-2", "Leukocytes [#/volume] in Blood by Automated count")
PLATELETS = _loinc("777-3", "Platelets [#/volume] in Blood by Automated count")
LEAD = _loinc("5671-3", "Lead [Mass/volume] in Blood")

BASIC_METABOLIC_PANEL = _loinc("51990-0", "Basic metabolic panel - Blood")
LIPID_PANEL = _loinc("24331-1", "Lipid 1996 panel - Serum or Plasma")
BLOOD_COUNT_PANEL = _loinc("58410-2", "CBC panel - Blood by Automated count")

PROGRESS_NOTE = _loinc("11506-3", "Progress note")
DISCHARGE_SUMMARY = _loinc("18842-5", "Discharge summary")
REFERRAL_NOTE = _loinc("57133-1", "Referral note")
EMERGENCY_NOTE = _loinc("34878-9", "Emergency medicine Note")
DIAGNOSTIC_IMAGING_STUDY = _loinc("18748-4", "Diagnostic imaging study")
PRIVACY_POLICY = _loinc("59284-0", "Patient Consent")
RELEASE_OF_INFORMATION = _loinc("64292-6", "Release of information consent")
