"""Scopes in plain words, for people who decide about them.
https://hl7.org/fhir/smart-app-launch/STU2.2/best-practices.html"""

from __future__ import annotations

import re

from fhir_server.access.scopes import Scope, parse

_TYPES = {
    "*": "All kinds of records",
    "AllergyIntolerance": "Allergies",
    "Appointment": "Appointments",
    "AuditEvent": "Who has looked at the record",
    "Binary": "Files",
    "CarePlan": "Care plans",
    "CareTeam": "The care team",
    "Claim": "Bills to insurers",
    "Communication": "Messages",
    "Condition": "Conditions and diagnoses",
    "Consent": "Consents",
    "Coverage": "Insurance",
    "Device": "Implants and devices",
    "DiagnosticReport": "Reports of tests",
    "DocumentReference": "Documents and notes",
    "Encounter": "Visits",
    "ExplanationOfBenefit": "What insurance has paid",
    "FamilyMemberHistory": "Family history",
    "Goal": "Goals of care",
    "ImagingStudy": "Images",
    "Immunization": "Vaccinations",
    "Location": "Places",
    "Media": "Pictures and recordings",
    "Medication": "Medicines",
    "MedicationAdministration": "Medicines given",
    "MedicationDispense": "Medicines handed out",
    "MedicationRequest": "Prescriptions",
    "MedicationStatement": "Medicines taken",
    "Observation": "Measurements and test results",
    "Organization": "Organizations",
    "Patient": "Name, address and date of birth",
    "Person": "People",
    "Practitioner": "Doctors and nurses",
    "PractitionerRole": "Where doctors and nurses work",
    "Procedure": "Procedures and operations",
    "Provenance": "Where records come from",
    "QuestionnaireResponse": "Answers to questionnaires",
    "RelatedPerson": "Relatives and helpers",
    "ServiceRequest": "Orders and referrals",
    "Specimen": "Samples",
    "Task": "Tasks",
}

_KINDS = {
    "laboratory": "Laboratory results",
    "vital-signs": "Vital signs, such as blood pressure and weight",
    "social-history": "Social history, such as smoking",
    "survey": "Questionnaire scores",
    "sdoh": "Housing, food, work and other living conditions",
    "problem-list-item": "The list of problems",
    "encounter-diagnosis": "Diagnoses of visits",
    "health-concern": "Health concerns",
}

_OTHERS = {
    "openid": "Know that it is you",
    "fhirUser": "Know who you are in the clinic's records",
    "profile": "Know your name",
    "launch": "Know which patient is open",
    "launch/patient": "Know which patient is chosen",
    "launch/encounter": "Know which visit is open",
    "offline_access": "Keep this access when you are away",
    "online_access": "Keep this access while you are signed in",
}

_LONGER = {
    "offline_access": "it can go on reading without you, until you withdraw it",
    "online_access": "it ends when you sign out",
}


def title(text: str) -> str:
    """What a scope is about."""
    scope = _clinical(text)
    if scope is None:
        return _OTHERS.get(text, text)
    name = _TYPES.get(scope.resource_type) or _spaced(scope.resource_type)
    if scope.constraint:
        return f"{name}: {kind(text)}"
    return name


def kind(text: str) -> str:
    """What a narrowed scope is about: "Laboratory results", or its query where we have no better words."""
    scope = _clinical(text)
    constraint = scope.constraint if scope is not None else ""
    code = constraint.rpartition("|")[2].rpartition("=")[2]
    return _KINDS.get(code, constraint)


def actions(text: str) -> str:
    """What may be done: "see", "see and change"."""
    scope = _clinical(text)
    if scope is None:
        return _LONGER.get(text, "")
    words = ["see"] if set("rs") & set(scope.letters) else []
    words += [word for letter, word in (("c", "add"), ("u", "change"), ("d", "delete")) if letter in scope.letters]
    told = " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
    return told + (" — of every patient that you may see" if scope.context == "user" else "")


def _clinical(text: str) -> Scope | None:
    return next(iter(parse(text)), None)


def _spaced(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).capitalize()
