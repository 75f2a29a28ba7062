"""Every kind of event is a valid AuditEvent, in BALP's shape where BALP has one. https://profiles.ihe.net/ITI/BALP/"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.audit import audit_event
from fhir_server.audit.codes import CODES, DCM
from fhir_server.audit.event import Event
from fhir_server.validation import validate

BASE = "http://localhost:8080/t/riverside/fhir"


def resource(event: Event, patients: dict[int, str] | None = None, only: frozenset[str] | None = None) -> Any:
    body = audit_event.body(event, BASE, patients or {}, only)
    return {"resourceType": "AuditEvent", "id": "trail-1", "meta": {"versionId": "1", **audit_event.meta(event)}} | body


PERSON = {
    "subject": "5f0b", "client_id": "app", "roles": ("physician",), "fhir_user": "Practitioner/9",
    "address": "10.0.0.1", "request_id": "r-1", "decision": "d-1",
}  # fmt: skip


@pytest.mark.parametrize("outcome", ["0", "4", "12"])
@pytest.mark.parametrize("agent", [PERSON, {"client_id": "bulk", "subject": "bulk", "address": "::1"}, {}])
def test_every_kind_is_valid(make: Callable[..., Event], outcome: str, agent: dict[str, Any]) -> None:
    for kind in CODES:
        check(make, kind, outcome, agent)


def check(make: Callable[..., Event], kind: str, outcome: str, agent: dict[str, Any]) -> None:
    event = make(
        kind=kind, outcome=outcome, resource_type="Observation", resource_id="o", query="GET Observation?code=é",
        patients=(7,), patient_ids=("p",), written=(("Basic", "b", 0, 1),), before=1, after=2, reason="why", **agent,
    )  # fmt: skip
    found = resource(event, {7: "q"})
    validate(found)
    assert sum(one["requestor"] for one in found["agent"]) == (1 if agent else 0)
    assert resource(make(kind=kind, outcome=outcome))["type"] == found["type"]
    validate(resource(make(kind=kind, outcome=outcome)))


def entities(found: Any, code: str) -> list[Any]:
    return [one for one in found["entity"] if one["type"]["code"] == code]


def roles(found: Any) -> dict[str, Any]:
    return {one["type"]["coding"][0]["code"]: one for one in found["agent"]}


def test_a_read_has_the_shape_of_balp(make: Callable[..., Event]) -> None:
    found = resource(make(resource_type="Observation", resource_id="o", after=3, patients=(7,), **PERSON), {7: "p"})
    assert found["meta"]["profile"] == [
        "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PatientRead"
    ]
    assert (found["type"]["code"], found["subtype"][0]["code"], found["action"]) == ("rest", "read", "R")
    agents = roles(found)
    assert agents.keys() == {"IRCP", "110152", "110153"}
    assert agents["IRCP"]["who"] == {"reference": "Practitioner/9", "identifier": {"value": "5f0b"}}
    assert agents["IRCP"]["requestor"] is True
    assert agents["IRCP"]["role"] == [{"coding": [{"system": "urn:fhir-server:role", "code": "physician"}]}]
    assert agents["IRCP"]["policy"] == ["urn:fhir-server:decision:d-1"]
    assert agents["110152"]["network"] == {"address": "10.0.0.1", "type": "2"}
    assert agents["110152"]["type"]["coding"][0]["system"] == DCM
    assert agents["110153"]["who"]["display"] == BASE
    assert [one["what"]["reference"] for one in entities(found, "1")] == ["Patient/p"]
    assert [one["what"]["reference"] for one in entities(found, "2")] == ["Observation/o/_history/3"]
    assert entities(found, "XrequestId")[0]["what"]["identifier"]["value"] == "r-1"


def test_a_search_has_its_query_and_no_data(make: Callable[..., Event]) -> None:
    query = "GET Observation?patient=p&x=%00\nbody"
    found = resource(make(kind="search-type", resource_type="Observation", query=query, patients=(7, 8), **PERSON),
                     {7: "p", 8: "q"})  # fmt: skip
    assert found["meta"]["profile"] == ["https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.Query"]
    (one,) = entities(found, "2")
    assert b64decode(one["query"]).decode() == query
    assert one["role"]["code"] == "24"
    assert [e["what"]["reference"] for e in entities(found, "1")] == ["Patient/p", "Patient/q"]
    # The query flows to the server: BALP has the client as its source.
    assert roles(found)["110153"]["requestor"] is False
    assert roles(found)["110153"]["who"]["identifier"]["value"] == "app"


def test_a_write_has_both_versions(make: Callable[..., Event]) -> None:
    found = resource(make(kind="update", resource_type="Basic", resource_id="b", before=4, after=5, **PERSON))
    (one,) = entities(found, "2")
    assert one["what"]["reference"] == "Basic/b/_history/5"
    assert one["detail"] == [{"type": "version before", "valueString": "4"}]


def test_a_failure_follows_no_profile_and_says_why(make: Callable[..., Event]) -> None:
    found = resource(make(outcome="4", status=403, reason="not permitted", **PERSON))
    assert "profile" not in found["meta"]
    assert found["outcomeDesc"] == "not permitted"


def test_a_patient_sees_nothing_of_others(make: Callable[..., Event]) -> None:
    event = make(
        kind="search-type", resource_type="Observation", query="GET Observation?patient=p,secret", patients=(7, 8),
        written=(("Patient", "secret", 0, 1),), **PERSON,
    )  # fmt: skip
    found = resource(event, {7: "p", 8: "secret"}, frozenset(("p",)))
    validate(found)
    assert "secret" not in str(found)
    assert [e["what"]["reference"] for e in entities(found, "1")] == ["Patient/p"]
    assert [one.get("description") for one in entities(found, "2")] == [audit_event.OTHERS_ONLY]
    alone = make(kind="search-type", query="GET Observation?patient=p,secret", patients=(7,), **PERSON)
    assert "query" not in str(resource(alone, {7: "p"}, frozenset(("p",))))


def test_messages_are_named_by_their_numbers_with_the_purpose_and_what_was_said(make: Callable[..., Event]) -> None:
    event = make(kind="hl7-drop", messages=(4711, 4712), reason="A test of theirs", patient_ids=("p",), **PERSON)
    found = resource(event)
    validate(found)
    assert found["purposeOfEvent"][0]["coding"][0]["code"] == "HOPERAT"
    told = [(one["what"]["identifier"]["value"], one.get("description")) for one in entities(found, "2")]
    assert told == [("4711", "A test of theirs"), ("4712", None)]
    shown = resource(event, {}, frozenset(("p",)))
    validate(shown)
    assert "theirs" not in str(shown), "what was said of several is not for one of them"
    others = resource(event, {}, frozenset(("q",)))
    assert "4711" not in str(others)


@pytest.mark.parametrize("text", ["trail-0", "trail-01", "trail-", "trail-x", "trail-1x", "xtrail-1", "trail-٣"])
def test_other_ids_are_none_of_the_trail(text: str) -> None:
    assert audit_event.ID.fullmatch(text) is None
    assert audit_event.ID.fullmatch(audit_event.resource_id(7))
