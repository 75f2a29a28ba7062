"""Assignments, broken glass and consents, as those who are held to them see them. docs/care.md"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import REGISTRY

from fhir_server.access.consents import ACT_CODE, RESOURCE_TYPES, SCOPE
from fhir_server.audit import event as events
from fhir_server.authn import keys
from fhir_server.authn.access_token import issue
from fhir_server.settings import Settings
from fhir_server.store import audit, directory
from tests.factories.hostile import TEXTS
from tests.functional.conftest import Answer, Api

Parameters = dict[str, Any]
ACCOUNT = str(UUID(int=7))


def parameters(**given: str) -> Parameters:
    """Parameters of texts; names are written with _ after what Python keeps for itself."""
    return {
        "resourceType": "Parameters",
        "parameter": [{"name": name.rstrip("_"), "valueString": value} for name, value in given.items()],
    }


def parts(answer: Answer, name: str) -> list[dict[str, Any]]:
    """The parameters of a name, each by the names of its parts."""
    return [
        {part["name"]: next(value for key, value in part.items() if key.startswith("value")) for part in one["part"]}
        for one in answer.json.get("parameter", [])
        if one["name"] == name
    ]


def value(answer: Answer, name: str) -> Any:
    """The value of the one parameter of a name."""
    (one,) = (one for one in answer.json["parameter"] if one["name"] == name)
    return next(found for key, found in one.items() if key.startswith("value"))


@pytest.fixture
def person(api: Api, settings: Settings) -> Callable[..., Api]:
    """A function that makes somebody with a role at the clinic of ``api``."""

    def make(role: str, fhir_user: str = "", sub: str = ACCOUNT, scope: str = "user/*.cruds") -> Api:
        token = issue(
            keys.load_or_create(settings.key_file), issuer=settings.issuer, sub=sub, client_id="portal",
            tenant=api.slug, scope=scope, lifetime=600, roles=[role], fhir_user=fhir_user,
        )  # fmt: skip
        return Api(api.app, api.slug, token)

    return make


@pytest.fixture
def admin(api: Api, person: Callable[..., Api]) -> Api:
    """The admin of a clinic with the patients p and q, each with an observation, and a doctor."""
    for name in "pq":
        api.put(f"Patient/{name}", {"resourceType": "Patient", "id": name})
        api.put(f"Observation/{name}", observation(name))
    api.put("Practitioner/d", {"resourceType": "Practitioner", "id": "d"})
    return person("clinic_admin", sub="the-admin")


def observation(name: str) -> dict[str, Any]:
    return {
        "resourceType": "Observation", "id": name, "status": "final", "subject": {"reference": f"Patient/{name}"},
        "code": {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]},
    }  # fmt: skip


def sees(who: Api, name: str) -> bool:
    """Whether somebody sees an observation, by reading and by searching alike."""
    status = who.get(f"Observation/{name}").status
    assert status in (200, 404)
    found = who.get("Observation").json.get("entry", [])
    assert (status == 200) is any(entry["resource"]["id"] == name for entry in found)
    return status == 200


@pytest.mark.parametrize("whom", [{"person": "Practitioner/d"}, {"user": ACCOUNT}])
def test_an_assignment_makes_a_patient_a_physicians_own_until_it_ends(
    admin: Api, person: Callable[..., Api], whom: dict[str, str]
) -> None:
    physician = person("physician", "Practitioner/d")
    assert not sees(physician, "p")
    answer = admin.post("Patient/p/$assign", parameters(**whom, until="2999-01-31", reason="Stands in"))
    assert (answer.status, value(answer, "until")) == (200, "2999-02-01T00:00:00.000Z")
    assert (sees(physician, "p"), sees(physician, "q")) == (True, False)

    (listed,) = parts(admin.get("Patient/p/$assignments"), "assignment")
    assert (listed["id"], listed["reason"], listed["createdBy"]) == (value(answer, "id"), "Stands in", "User/the-admin")
    assert parts(admin.get("Patient/q/$assignments"), "assignment") == []

    ended = admin.post("Patient/q/$unassign", parameters(assignment=listed["id"]))
    assert ended.status == 404
    ended = admin.post("Patient/p/$unassign", parameters(assignment=listed["id"]))
    assert (ended.status, value(ended, "revoked")) == (200, 1)
    assert not sees(physician, "p")
    (listed,) = parts(admin.get("Patient/p/$assignments"), "assignment")
    assert listed["revokedBy"] == "User/the-admin"
    assert admin.post("Patient/p/$unassign", parameters(assignment=listed["id"])).status == 404


def test_all_assignments_of_a_person_end_together(admin: Api, person: Callable[..., Api]) -> None:
    for _ in range(2):
        admin.post("Patient/p/$assign", parameters(user=ACCOUNT, reason="Stands in"))
    assert value(admin.post("Patient/p/$unassign", parameters(user=ACCOUNT)), "revoked") == 2
    assert value(admin.post("Patient/p/$unassign", parameters(user=ACCOUNT)), "revoked") == 0
    assert not sees(person("physician"), "p")


def test_what_is_over_or_has_not_begun_opens_nothing(admin: Api, person: Callable[..., Api]) -> None:
    for times in ({"until": "2020-01-01"}, {"from_": "2999-01-01"}):
        assert admin.post("Patient/p/$assign", parameters(user=ACCOUNT, reason="x", **times)).status == 200
    assert not sees(person("physician"), "p")


def test_a_matter_opens_the_record_to_an_attorney_alone(admin: Api, person: Callable[..., Api]) -> None:
    attorney, physician = person("attorney"), person("physician")
    given = {"user": ACCOUNT, "kind": "matter", "reason": "Retained", "until": "2999-01-01"}
    assert admin.post("Patient/p/$assign", parameters(**given)).status == 400
    assert admin.post("Patient/p/$assign", parameters(**given, matter="Docket 12-345")).status == 200
    assert (sees(attorney, "p"), sees(attorney, "q"), sees(physician, "p")) == (True, False, False)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"user": ACCOUNT},
        {"reason": "x"},
        {"reason": "x", "user": "nobody"},
        {"reason": "x", "user": ACCOUNT, "person": "Practitioner/d"},
        {"reason": "x", "person": "Organization/o"},
        {"reason": "x", "person": "https://other.example/fhir/Practitioner/d"},
        {"reason": "x", "user": ACCOUNT, "kind": "break-glass"},
        {"reason": "x", "user": ACCOUNT, "matter": "m"},
        {"reason": "x", "user": ACCOUNT, "kind": "matter", "matter": "m"},
        {"reason": "x", "user": ACCOUNT, "until": "tomorrow"},
        {"reason": "x", "user": ACCOUNT, "until": "2020", "from_": "2021"},
        {"reason": "x" * 1001, "user": ACCOUNT},
        {"reason": "x", "user": ACCOUNT, "other": "y"},
    ],
)
def test_assignments_that_make_no_sense(admin: Api, given: dict[str, str]) -> None:
    assert admin.post("Patient/p/$assign", parameters(**given)).status == 400


def test_any_text_in_an_assignment_and_in_a_reason(admin: Api, person: Callable[..., Api]) -> None:
    physician = person("physician")
    matter = {"user": ACCOUNT, "kind": "matter", "matter": "m", "until": "2999", "reason": "x"}
    for text in TEXTS:
        for name in ("user", "kind", "matter", "until", "from", "reason"):
            answer = admin.post("Patient/p/$assign", parameters(**matter | {name: text}))
            assert answer.status in (200, 400), (name, text)
        answer = admin.post("Patient/p/$assign", parameters(person=text, reason="x"))
        assert answer.status in (400, 404), text
        answer = physician.post("Patient/p/$break-glass", parameters(reason=f"0123456789{text}"))
        assert answer.status in (200, 400), text
    assert admin.get("Patient/p/$assignments").status == 200
    assert admin.get("$break-glass-alerts").status == 200


def test_nobody_is_assigned_who_is_not_there(admin: Api) -> None:
    assert admin.post("Patient/none/$assign", parameters(user=ACCOUNT, reason="x")).status == 404
    assert admin.post("Patient/p/$assign", parameters(person="Practitioner/none", reason="x")).status == 404


@pytest.mark.parametrize("role", ["physician", "staff", "billing", "executive", "attorney", "patient"])
def test_only_admins_assign_and_see_alerts(admin: Api, person: Callable[..., Api], role: str) -> None:
    somebody = person(role, "Practitioner/d")
    for name in ("$assign", "$unassign"):
        assert somebody.post(f"Patient/p/{name}", parameters(user=ACCOUNT, reason="x")).status == 403
    assert somebody.get("Patient/p/$assignments").status == 403
    assert somebody.get("$break-glass-alerts").status == 403
    assert somebody.post("$break-glass-acknowledge", parameters(alert="all")).status == 403
    if role != "physician":
        assert somebody.post("Patient/p/$break-glass", parameters(reason="An emergency room")).status == 403


def test_breaking_the_glass(
    admin: Api, person: Callable[..., Api], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    physician, colleague = person("physician"), person("physician", sub=str(UUID(int=8)))
    before = REGISTRY.get_sample_value("fhir_break_glass_total") or 0.0
    assert physician.post("Patient/p/$break-glass", parameters(reason="urgent")).status == 400
    assert physician.post("Patient/p/$break-glass", parameters()).status == 400
    assert physician.post("Patient/none/$break-glass", parameters(reason="Unconscious in the ER")).status == 404
    assert physician.get("Patient/p/$break-glass?reason=Unconscious%20in%20the%20ER").status == 405
    assert not sees(physician, "p")
    with caplog.at_level(logging.WARNING):
        answer = physician.post("Patient/p/$break-glass", parameters(reason="Unconscious in the ER"))
    assert answer.status == 200
    assert (sees(physician, "p"), sees(physician, "q"), sees(colleague, "p")) == (True, False, False)
    assert REGISTRY.get_sample_value("fhir_break_glass_total") == before + 1
    (record,) = (one for one in caplog.records if one.getMessage() == "the glass was broken")
    assert "Unconscious" not in str(vars(record))

    (alert,) = parts(admin.get("$break-glass-alerts"), "alert")
    assert alert["person"] == f"User/{ACCOUNT}"
    assert alert["patient"] == {"reference": "Patient/p"}
    assert alert["reason"] == "Unconscious in the ER"
    for text in ("-1", "999999999", "x", ""):
        assert admin.post("$break-glass-acknowledge", parameters(alert=text)).status in (400, 404)
    assert admin.post("$break-glass-acknowledge", parameters(alert=alert["id"])).status == 200
    assert admin.post("$break-glass-acknowledge", parameters(alert=alert["id"])).status == 404
    assert parts(admin.get("$break-glass-alerts"), "alert") == []
    (alert,) = parts(admin.get("$break-glass-alerts?all=true"), "alert")
    assert alert["acknowledgedBy"] == "User/the-admin"

    admin.app.trail.flush()
    tenant_id = directory.tenant_id(admin.app.database, admin.slug)
    assert tenant_id is not None
    found = [events.decode(row.record) for row in audit.walk(admin.app.database, tenant_id, 0, 1_000)]
    (event,) = (one for one in found if one.kind == "break-glass")
    assert (event.reason, event.subject, event.patient_ids) == ("Unconscious in the ER", ACCOUNT, ("p",))

    hour_later = events.now() + 3_600_000_001
    monkeypatch.setattr("fhir_server.store.reading.now", lambda: hour_later)
    assert physician.get("Observation/p").status == 404


def test_a_consent_withholds_what_it_says_until_it_is_revoked(admin: Api, person: Callable[..., Api], api: Api) -> None:
    physician = person("physician", "Practitioner/d")
    for name in "pq":
        admin.post(f"Patient/{name}/$assign", parameters(user=ACCOUNT, reason="x"))
    consent = {
        "resourceType": "Consent", "id": "c", "status": "active", "patient": {"reference": "Patient/p"},
        "scope": {"coding": [{"system": SCOPE[0], "code": SCOPE[1]}]}, "category": [{"text": "privacy"}],
        "policyRule": {"coding": [{"system": ACT_CODE, "code": "OPTIN"}]},
        "provision": {
            "type": "deny",
            "code": [{"coding": [{"system": "http://loinc.org", "code": "4548-4"}]}],
            "provision": [{
                "type": "permit",
                "actor": [{"role": {"coding": [{"code": "IRCP"}]}, "reference": {"reference": "Practitioner/e"}}],
            }],
        },
    }  # fmt: skip
    assert sees(physician, "p")
    assert api.put("Consent/c", consent).status == 201
    assert (sees(physician, "p"), sees(physician, "q")) == (False, True)
    assert sees(person("clinic_admin", sub="other"), "q")
    # The one whom it permits sees it, once there is a relation.
    api.put("Practitioner/e", {"resourceType": "Practitioner", "id": "e"})
    admin.post("Patient/p/$assign", parameters(person="Practitioner/e", reason="x"))
    assert sees(person("physician", "Practitioner/e", sub=str(UUID(int=9))), "p")
    # A reason that outweighs it, for whoever has one.
    physician.post("Patient/p/$break-glass", parameters(reason="Unconscious in the ER"))
    assert sees(physician, "p")
    colleague = person("physician", sub=str(UUID(int=10)))
    admin.post("Patient/p/$assign", parameters(user=str(UUID(int=10)), reason="x"))
    assert not sees(colleague, "p")
    conditions = {"type": "deny", "class": [{"system": RESOURCE_TYPES, "code": "Condition"}]}
    assert api.put("Consent/c", consent | {"provision": conditions}).status == 200
    assert sees(colleague, "p")
    assert api.put("Consent/c", consent).status == 200
    assert not sees(colleague, "p")
    assert api.delete("Consent/c").status in (200, 204)
    assert sees(colleague, "p")


def test_labels_and_scopes_leave_out_some_of_what_a_relation_opens(
    admin: Api, person: Callable[..., Api], api: Api
) -> None:
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"}
    api.put("Observation/labelled", observation("p") | {"id": "labelled", "meta": {"security": [label]}})
    api.put("Observation/other", observation("p") | {"id": "other", "code": {"coding": [{"code": "1-8"}]}})
    given = {"user": ACCOUNT, "reason": "x", "until": "2999"}
    admin.post("Patient/p/$assign", parameters(**given, kind="matter", matter="m"))
    attorney = person("attorney")
    assert [sees(attorney, name) for name in ("p", "other", "labelled", "q")] == [True, True, False, False]
    admin.post("Patient/p/$assign", parameters(**given))
    narrow = person("physician", scope="user/Observation.rs?code=http://loinc.org|4548-4")
    assert [sees(narrow, name) for name in ("p", "other", "labelled", "q")] == [True, False, True, False]
