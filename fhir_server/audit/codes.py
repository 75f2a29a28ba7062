"""What each kind of event is called in AuditEvent. https://hl7.org/fhir/R4/auditevent.html#resource

https://profiles.ihe.net/ITI/BALP/content.html for interactions, DICOM's codes for the rest
(https://dicom.nema.org/medical/dicom/current/output/chtml/part16/chapter_D.html), with a code of our own beside them.
"""

from __future__ import annotations

from typing import NamedTuple

DCM = "http://dicom.nema.org/resources/ontology/DCM"
EVENT_TYPE = "http://terminology.hl7.org/CodeSystem/audit-event-type"
INTERACTION = "http://hl7.org/fhir/restful-interaction"
OUTCOME = "http://terminology.hl7.org/CodeSystem/audit-event-outcome"
ACTION = "http://hl7.org/fhir/audit-event-action"
OWN = "urn:fhir-server:audit-kind"


class Code(NamedTuple):
    """A code of a code system, as in Coding. https://hl7.org/fhir/R4/datatypes.html#Coding"""

    system: str
    code: str
    display: str


class Coded(NamedTuple):
    """How a kind is coded: AuditEvent.type, subtype and action."""

    type: Code
    subtypes: tuple[Code, ...]
    action: str


_REST = Code(EVENT_TYPE, "rest", "RESTful Operation")
_SIGN_IN = Code(DCM, "110114", "User Authentication")
_ALERT = Code(DCM, "110113", "Security Alert")
_PATIENT_RECORD = Code(DCM, "110110", "Patient Record")


def _rest(code: str, action: str) -> Coded:
    return Coded(_REST, (Code(INTERACTION, code, code),), action)


def _own(kind: str, of: Code, *more: Code, action: str = "E") -> Coded:
    return Coded(of, (*more, Code(OWN, kind, kind)), action)


CODES: dict[str, Coded] = {
    "read": _rest("read", "R"),
    "vread": _rest("vread", "R"),
    "create": _rest("create", "C"),
    "update": _rest("update", "U"),
    "patch": _rest("patch", "U"),
    "delete": _rest("delete", "D"),
    "search-type": _rest("search-type", "E"),
    "search-system": _rest("search-system", "E"),
    "history-instance": _rest("history-instance", "R"),
    "history-type": _rest("history-type", "R"),
    "history-system": _rest("history-system", "R"),
    "transaction": _rest("transaction", "E"),
    "batch": _rest("batch", "E"),
    "operation": _rest("operation", "E"),
    "login": _own("login", _SIGN_IN, Code(DCM, "110122", "Login")),
    "logout": _own("logout", _SIGN_IN, Code(DCM, "110123", "Logout")),
    "consent": _own("consent", _SIGN_IN),
    "token": _own("token", _SIGN_IN),
    "launch": _own("launch", _SIGN_IN),
    "refused": _own("refused", _ALERT),
    "people": _own("people", _ALERT, Code(DCM, "110137", "User Security Attributes Changed"), action="U"),
    "client": _own("client", _ALERT, Code(DCM, "110137", "User Security Attributes Changed"), action="U"),
    "break-glass": _own("break-glass", _ALERT, Code(DCM, "110127", "Emergency Override Started")),
    "export": _own("export", Code(DCM, "110106", "Export"), action="R"),
    "hl7-search": _own("hl7-search", _PATIENT_RECORD),
    "hl7-read": _own("hl7-read", _PATIENT_RECORD, action="R"),
    "hl7-preview": _own("hl7-preview", _PATIENT_RECORD, action="R"),
    "hl7-replay": _own("hl7-replay", _PATIENT_RECORD, action="U"),
    "hl7-drop": _own("hl7-drop", _PATIENT_RECORD, action="U"),
    "platform": _own("platform", Code(DCM, "110100", "Application Activity")),
    "audit": _own("audit", Code(DCM, "110101", "Audit Log Used"), action="R"),
}
"""Every kind of event."""
