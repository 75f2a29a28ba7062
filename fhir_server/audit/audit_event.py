"""An event as FHIR's AuditEvent, in the shape of the Basic Audit Log Patterns. https://profiles.ihe.net/ITI/BALP/"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from fhir_server.audit.codes import CODES, DCM, Code, Coded
from fhir_server.audit.event import SUCCESS, Event
from fhir_server.r4.instants import format_instant

PROFILES = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
ID = re.compile(r"trail-([1-9][0-9]{0,18})", re.ASCII)
"""The ids of the trail's records: their number in the chain."""

_PROFILE = {
    "read": "Read", "vread": "Read", "create": "Create", "update": "Update", "patch": "Update", "delete": "Delete",
    "search-type": "Query", "search-system": "Query",
}  # fmt: skip
_WRITES = frozenset(("create", "update", "patch", "delete", "transaction", "batch"))
_OF_DATA_TO_CLIENT = frozenset(("read", "vread", "history-instance", "history-type", "history-system", "export"))

_SOURCE, _DESTINATION = Code(DCM, "110153", "Source Role ID"), Code(DCM, "110152", "Destination Role ID")
_PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_ENTITY_TYPE = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
_PERSON, _OBJECT = Code(_ENTITY_TYPE, "1", "Person"), Code(_ENTITY_TYPE, "2", "System Object")
_OPERATIONS = Code("http://terminology.hl7.org/CodeSystem/v3-ActReason", "HOPERAT", "healthcare operations")
_MESSAGE = "urn:hl7-message"
_REQUEST_ID = Code(
    "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType",
    "XrequestId",
    "transport specific unique identifier where http X-Request-Id is used",
)

OTHERS_ONLY = "This record is shown in part: it concerns others as well."


def resource_id(seq: int) -> str:
    """The id under which record number ``seq`` of a chain is served."""
    return f"trail-{seq}"


def body(
    event: Event, base_url: str, patients: Mapping[int, str], only: frozenset[str] | None = None
) -> dict[str, Any]:
    """The AuditEvent without resourceType, id and meta.

    ``patients`` maps keys of patients to their ids. ``only`` are the ids of the patients whose record a reader may
    see: nothing about others is shown, nor what was searched for, which may name them.
    """
    coded = CODES[event.kind]
    found: dict[str, Any] = {
        "type": _coding(coded.type),
        "subtype": [_coding(one) for one in coded.subtypes],
        "action": coded.action,
        "recorded": format_instant(event.at),
        "outcome": event.outcome,
        "agent": _agents(event, coded, base_url),
        "source": {
            "observer": {"display": urlsplit(base_url).netloc},
            "type": [
                _coding(Code("http://terminology.hl7.org/CodeSystem/security-source-type", "4", "Application Server"))
            ],
        },
    }
    if event.outcome != SUCCESS:
        found["outcomeDesc"] = event.reason or f"HTTP {event.status}"
    if event.kind.startswith("hl7-"):
        # Whoever works on messages of a clinic does so in order that they arrive: docs/hl7.md
        found["purposeOfEvent"] = [_concept(_OPERATIONS)]
    concerned = {patients.get(key, "") for key in event.patients} | set(event.patient_ids)
    named = concerned - {""} if only is None else concerned & only
    others = only is not None and bool(concerned - only)
    entities = [_patient(one) for one in sorted(named)]
    if event.request_id:
        entities.append({"what": {"identifier": {"value": event.request_id}}, "type": _coding(_REQUEST_ID)})
    if only is None:
        entities += _written(event)
    if not others:
        entities += _data(event)
        entities += _messages(event, reason=event.reason if only is None and event.outcome == SUCCESS else "")
    if only is None:
        entities += _query(event)
    elif others:
        entities.append({"type": _coding(_OBJECT), "description": OTHERS_ONLY})
    if entities:
        found["entity"] = entities
    return found


def meta(event: Event) -> dict[str, Any]:
    """The meta beside versionId and lastUpdated: the profile of BALP that the record follows, if any."""
    name = _PROFILE.get(event.kind)
    if name is None or event.outcome != SUCCESS or not event.client_id:
        return {}
    patients = max(len(set(event.patients)), len(event.patient_ids))
    return {"profile": [f"{PROFILES}{'Patient' if patients == 1 else ''}{name}"]}


def _agents(event: Event, coded: Coded, base_url: str) -> list[dict[str, Any]]:
    to_client = event.kind in _OF_DATA_TO_CLIENT
    person = _person(event)
    agents = [] if person is None else [person]
    if event.client_id or event.address:
        client: dict[str, Any] = {"type": _concept(_DESTINATION if to_client else _SOURCE)}
        if event.client_id:
            client |= {"who": {"identifier": {"value": event.client_id}}, "name": event.client_id}
        client["requestor"] = person is None
        if event.address:
            client["network"] = {"address": event.address, "type": "2"}
        agents.append(client)
    server = {
        "type": _concept(_SOURCE if to_client else _DESTINATION),
        "who": {"display": base_url},
        "requestor": False,
        "network": {"address": base_url, "type": "5"},
    }
    return [*agents, server]


def _person(event: Event) -> dict[str, Any] | None:
    if not event.fhir_user and (not event.subject or event.subject == event.client_id):
        return None
    code = ("AUT", "author") if event.kind in _WRITES else ("IRCP", "information recipient")
    who: dict[str, Any] = {"reference": event.fhir_user} if event.fhir_user else {}
    if event.subject:
        who["identifier"] = {"value": event.subject}
    agent: dict[str, Any] = {"type": _concept(Code(_PARTICIPATION, *code)), "who": who, "requestor": True}
    if event.roles:
        agent["role"] = [{"coding": [{"system": "urn:fhir-server:role", "code": role}]} for role in event.roles]
    if event.subject:
        agent["altId"] = event.subject
    if event.decision:
        agent["policy"] = [f"urn:fhir-server:decision:{event.decision}"]
    return agent


def _patient(patient_id: str) -> dict[str, Any]:
    return {
        "what": {"reference": f"Patient/{patient_id}"},
        "type": _coding(_PERSON),
        "role": _coding(Code(_ROLE, "1", "Patient")),
    }


def _data(event: Event) -> list[dict[str, Any]]:
    """The resource that was read or written, with its version."""
    if not event.resource_type or not event.resource_id:
        return []
    return [_object(event.resource_type, event.resource_id, event.before, event.after)]


def _messages(event: Event, reason: str) -> list[dict[str, Any]]:
    """Messages of HL7 v2 by their numbers, and what whoever dropped or replayed them has said of it."""
    found: list[dict[str, Any]] = [
        {"what": {"identifier": {"system": _MESSAGE, "value": str(one)}}, "type": _coding(_OBJECT)}
        for one in event.messages
    ]
    if found and reason:
        found[0]["description"] = reason
    return found


def _written(event: Event) -> list[dict[str, Any]]:
    own = (event.resource_type, event.resource_id)
    return [_object(*one) for one in event.written if one[:2] != own]


def _object(kind: str, resource: str, before: int, after: int) -> dict[str, Any]:
    version = f"/_history/{after}" if after else ""
    found: dict[str, Any] = {
        "what": {"reference": f"{kind}/{resource}{version}"},
        "type": _coding(_OBJECT),
        "role": _coding(Code(_ROLE, "4", "Domain Resource")),
    }
    if before:
        found["detail"] = [{"type": "version before", "valueString": str(before)}]
    return found


def _query(event: Event) -> list[dict[str, Any]]:
    """What was asked for, as it came: also what is malicious or malformed."""
    if not event.query or (event.kind in _PROFILE and _PROFILE[event.kind] != "Query"):
        return []
    found: dict[str, Any] = {
        "type": _coding(_OBJECT),
        "role": _coding(Code(_ROLE, "24", "Query")),
        "query": b64encode(event.query.encode()).decode(),
    }
    return [found]


def _coding(code: Code) -> dict[str, str]:
    return {"system": code.system, "code": code.code, "display": code.display}


def _concept(code: Code) -> dict[str, Any]:
    return {"coding": [_coding(code)]}
