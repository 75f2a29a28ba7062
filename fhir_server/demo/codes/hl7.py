"""HL7's own code systems, as far as the demo needs them. https://terminology.hl7.org/codesystems.html"""

from __future__ import annotations

from fhir_server.demo.codes import Code

TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
UCUM = "http://unitsofmeasure.org"


def hl7(system: str, code: str, display: str) -> Code:
    """A code of the HL7 system named by the last part of its URL."""
    return Code(TERMINOLOGY + system, code, display)


AMBULATORY = hl7("v3-ActCode", "AMB", "ambulatory")
EMERGENCY = hl7("v3-ActCode", "EMER", "emergency")
INPATIENT = hl7("v3-ActCode", "IMP", "inpatient encounter")
PRIMARY_PERFORMER = hl7("v3-ParticipationType", "PPRF", "primary performer")
DISCHARGED_HOME = hl7("discharge-disposition", "home", "Home")
ADMISSION_DIAGNOSIS = hl7("diagnosis-role", "AD", "Admission diagnosis")
CHIEF_COMPLAINT = hl7("diagnosis-role", "CC", "Chief complaint")

ACTIVE = hl7("condition-clinical", "active", "Active")
RESOLVED = hl7("condition-clinical", "resolved", "Resolved")
CONFIRMED = hl7("condition-ver-status", "confirmed", "Confirmed")
PROBLEM_LIST_ITEM = hl7("condition-category", "problem-list-item", "Problem List Item")
ENCOUNTER_DIAGNOSIS = hl7("condition-category", "encounter-diagnosis", "Encounter Diagnosis")
ALLERGY_ACTIVE = hl7("allergyintolerance-clinical", "active", "Active")
ALLERGY_CONFIRMED = hl7("allergyintolerance-verification", "confirmed", "Confirmed")

VITAL_SIGNS = hl7("observation-category", "vital-signs", "Vital Signs")
LABORATORY = hl7("observation-category", "laboratory", "Laboratory")
SOCIAL_HISTORY = hl7("observation-category", "social-history", "Social History")
SURVEY = hl7("observation-category", "survey", "Survey")
EXAM = hl7("observation-category", "exam", "Exam")
LOW = hl7("v3-ObservationInterpretation", "L", "Low")
NORMAL = hl7("v3-ObservationInterpretation", "N", "Normal")
HIGH = hl7("v3-ObservationInterpretation", "H", "High")
LABORATORY_SECTION = hl7("v2-0074", "LAB", "Laboratory")
RADIOLOGY_SECTION = hl7("v2-0074", "RAD", "Radiology")

PROFESSIONAL_CLAIM = hl7("claim-type", "professional", "Professional")
INSTITUTIONAL_CLAIM = hl7("claim-type", "institutional", "Institutional")
NORMAL_PRIORITY = hl7("processpriority", "normal", "Normal")
SUBMITTED = hl7("adjudication", "submitted", "Submitted Amount")
BENEFIT = hl7("adjudication", "benefit", "Benefit Amount")
COPAY = hl7("adjudication", "copay", "CoPay")
COMPLETE_PAYMENT = hl7("ex-paymenttype", "complete", "Complete")
SELF = hl7("subscriber-relationship", "self", "Self")
CHILD = hl7("subscriber-relationship", "child", "Child")
HEALTH_INSURANCE = hl7("v3-ActCode", "EHCPOL", "extended healthcare")
AUTO_INSURANCE = hl7("v3-ActCode", "AUTOPOL", "automobile")
MOTOR_VEHICLE_ACCIDENT = hl7("v3-ActCode", "MVA", "Motor vehicle accident")
PATIENT_BILLING = hl7("v3-ActCode", "PBILLACCT", "patient billing account")

MEDICAL_RECORD_NUMBER = hl7("v2-0203", "MR", "Medical record number")
SOCIAL_SECURITY = hl7("v2-0203", "SS", "Social Security number")
MOTHER = hl7("v3-RoleCode", "MTH", "mother")
SPOUSE = hl7("v3-RoleCode", "SPS", "spouse")
SIBLING = hl7("v3-RoleCode", "SIB", "sibling")
PROVIDER_ORGANIZATION = hl7("organization-type", "prov", "Healthcare Provider")
INSURANCE_COMPANY = hl7("organization-type", "ins", "Insurance Company")
OTHER_ORGANIZATION = hl7("organization-type", "other", "Other")
PRIVACY_CONSENT = hl7("consentscope", "patient-privacy", "Privacy Consent")
TREATMENT_PURPOSE = hl7("v3-ActReason", "TREAT", "treatment")
LEGAL_PURPOSE = hl7("v3-ActReason", "LEGAL", "legal")
RECIPIENT = hl7("v3-ParticipationType", "IRCP", "information recipient")
AUTHOR = hl7("provenance-participant-type", "author", "Author")
ROUTINE_APPOINTMENT = hl7("v2-0276", "ROUTINE", "Routine appointment - default if not valued")
FOLLOW_UP_APPOINTMENT = hl7("v2-0276", "FOLLOWUP", "A follow up visit from a previous appointment")
