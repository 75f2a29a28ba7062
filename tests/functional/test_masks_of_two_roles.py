"""Who has two roles sees of each resource what the one shows and what the other shows. docs/access.md, "Roles" """

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

import pytest

from fhir_server.app import FhirServer
from fhir_server.authn import clinic_settings, keys
from fhir_server.authn.access_token import issue
from fhir_server.settings import Settings
from fhir_server.store import directory
from tests.functional.conftest import Answer, Api

EVIDENCE = "http://example.org/evidence|secret"
HIDDEN = {"evidence": [{"code": [{"coding": [{"system": "http://example.org/evidence", "code": "secret"}]}]}]}
BOTH = ("physician", "billing")

Make = Callable[..., Api]


def condition(name: str) -> dict[str, Any]:
    subject = {"reference": f"Patient/{name}"}
    return {"resourceType": "Condition", "id": name, "subject": subject, "code": {"text": "Shown"}, **HIDDEN}


def patient(name: str) -> dict[str, Any]:
    practitioner = {"generalPractitioner": [{"reference": "Practitioner/r"}]} if name == "p" else {}
    contact = [{"name": {"family": "Secret"}}]
    return {"resourceType": "Patient", "id": name, "name": [{"family": "Shown"}], "contact": contact, **practitioner}


@pytest.fixture
def make(settings: Settings, api: Api) -> Make:
    """A function that makes somebody with roles, to whom patient p is related and patient q is not."""
    api.put("Practitioner/r", {"resourceType": "Practitioner", "id": "r"})
    for name in "pq":
        assert api.put(f"Patient/{name}", patient(name)).status == 201
        assert api.put(f"Condition/{name}", condition(name)).status == 201
        visit = {
            "resourceType": "Encounter", "id": name, "status": "finished", "class": {"code": "AMB"},
            "subject": {"reference": f"Patient/{name}"}, "reasonCode": [{"text": "Why"}], "text": {
                "status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">secret</div>'
            },
        }  # fmt: skip
        assert api.put(f"Encounter/{name}", visit).status == 201

    def person(*roles: str, scope: str = "user/*.cruds") -> Api:
        token = issue(
            keys.load_or_create(settings.key_file), issuer=settings.issuer, sub="sub", client_id="portal",
            tenant=api.slug, scope=scope, lifetime=600, roles=roles, fhir_user="Practitioner/r",
        )  # fmt: skip
        return Api(api.app, api.slug, token)

    return person


def resources(answer: Answer) -> dict[str, dict[str, Any]]:
    """The resources of an answer by their names, and those of the bundles in it."""
    assert answer.status == 200, answer.data
    found = {}
    waiting = [answer.json]
    while waiting:
        one = waiting.pop()
        if one["resourceType"] == "Bundle":
            waiting += [entry["resource"] for entry in one.get("entry", ()) if "resource" in entry]
        else:
            found[f"{one['resourceType']}/{one['id']}"] = one
    return found


def batch(*urls: str) -> dict[str, Any]:
    entries = [{"request": {"method": "GET", "url": url}} for url in urls]
    return {"resourceType": "Bundle", "type": "batch", "entry": entries}


@pytest.mark.parametrize("roles", [BOTH, BOTH[::-1]])
def test_each_resource_is_shown_by_every_role_that_shows_it(make: Make, roles: Sequence[str]) -> None:
    me = make(*roles)
    roads = [
        me.get("Condition"),
        me.get("Condition?_elements=evidence,code"),
        me.get("Condition/_history"),
        me.get("Patient?_revinclude=Condition:patient"),
        me.post("", batch("Condition/p", "Condition/q")),
        me.post("", batch("Condition") | {"type": "transaction"}),
    ]
    for answer in roads:
        found = resources(answer)
        assert "evidence" in found["Condition/p"], answer.data
        assert "evidence" not in found["Condition/q"]
        assert found["Condition/q"]["meta"]["tag"][-1]["code"] == "SUBSETTED"
    for name in "pq":
        whole = name == "p"
        for path in (f"Condition/{name}", f"Condition/{name}/_history/1"):
            assert ("evidence" in me.get(path).json) is whole
        assert ("contact" in me.get(f"Patient/{name}").json) is whole
    assert "evidence" not in make("billing").get("Condition/p").json
    assert make("physician").get("Condition/q").status == 404


def test_two_parts_come_to_what_either_shows(make: Make) -> None:
    """The codes of a visit and its place in the schedule."""
    found = make("staff", "billing").get("Encounter/p").json
    assert found["reasonCode"] == [{"text": "Why"}]
    assert "text" not in found
    assert "reasonCode" not in make("staff").get("Encounter/p").json


def test_whom_staff_sees_whole_billing_does_not_cut(make: Make) -> None:
    assert "contact" in make("staff", "billing").get("Patient/q").json


def test_a_version_of_the_past_is_shown_by_what_it_was(make: Make, api: Api) -> None:
    """It was another's patient's once: whoever sees it whole now sees a part of what it was."""
    assert api.put("Condition/moved", condition("q") | {"id": "moved"}).status == 201
    assert api.put("Condition/moved", condition("p") | {"id": "moved"}).status == 200
    me = make(*BOTH)
    assert "evidence" in me.get("Condition/moved").json
    assert "evidence" in me.get("Condition/moved/_history/2").json
    assert "evidence" not in me.get("Condition/moved/_history/1").json
    versions = {entry["resource"]["meta"]["versionId"]: entry["resource"] for entry in
                me.get("Condition/moved/_history").json["entry"]}  # fmt: skip
    assert {one: "evidence" in resource for one, resource in versions.items()} == {"1": False, "2": True}


@pytest.mark.parametrize("roles", [BOTH, BOTH[::-1]])
def test_nothing_is_found_by_what_no_role_shows_of_it(make: Make, roles: Sequence[str]) -> None:
    me, by = make(*roles), f"evidence={quote(EVIDENCE)}"
    answer = me.get(f"Condition?{by}&_total=accurate")
    assert (set(resources(answer)), answer.json["total"]) == ({"Condition/p"}, 1)
    assert me.get(f"Condition?{by}&_summary=count").json["total"] == 1
    assert set(resources(me.get(f"Condition?_filter=evidence%20eq%20{quote(EVIDENCE)}"))) == {"Condition/p"}
    assert resources(me.get(f"Condition?{by}&patient=q")) == {}
    assert set(resources(me.get(f"Patient?_has:Condition:patient:{by}"))) == {"Patient/p"}
    assert set(resources(me.get("Condition?evidence:missing=true"))) == set()
    assert set(resources(me.get("Condition?code:text=Shown"))) == {"Condition/p", "Condition/q"}
    assert set(resources(me.post("", batch(f"Condition?{by}")))) == {"Condition/p"}
    # An order that some of the resources do not show would tell of it.
    assert me.get("Condition?_sort=evidence").status == 403
    assert make("billing").get(f"Condition?{by}").status == 403
    created = me.post("Condition", condition("p"), If_None_Exist=f"{by}&patient=q")
    assert created.status == 201, "what is hidden does not exist for a condition either"


def test_what_is_contained_finds_nothing_that_does_not_show_it(make: Make, api: Api) -> None:
    inside = {"resourceType": "Observation", "id": "o", "status": "final", "code": {"coding": [{"code": "zanzibar"}]}}
    held = {
        "resourceType": "DiagnosticReport", "id": "d", "status": "final", "code": {"text": "x"}, "contained": [inside],
        "subject": {"reference": "Patient/q"}, "result": [{"reference": "#o"}],
    }  # fmt: skip
    request = {
        "resourceType": "ServiceRequest", "id": "s", "status": "active", "intent": "order",
        "subject": {"reference": "Patient/q"}, "requester": {"reference": "Practitioner/r"},
    }  # fmt: skip
    assert api.put("DiagnosticReport/d", held).status == 201
    assert api.put("ServiceRequest/s", request).status == 201
    me, search = make("referring_doctor"), "Observation?_contained=true&_containedType=container&code=zanzibar"
    assert me.get("DiagnosticReport/d").status == 200
    assert set(resources(api.get(search))) == {"DiagnosticReport/d"}
    assert resources(me.get(search)) == {}


def test_everything_of_ones_own_patients(make: Make) -> None:
    me = make(*BOTH)
    found = resources(me.get("Patient/p/$everything"))
    assert set(found) >= {"Patient/p", "Condition/p", "Encounter/p"}
    assert "evidence" in found["Condition/p"]
    assert me.get("Patient/q/$everything").status == 403
    assert me.get("Patient/none/$everything").status == 404
    for name, status in (("p", 200), ("q", 403)):
        assert me.get(f"Condition/{name}/$lineage").status == status
    assert me.get("$graphql?query={ConditionList{id}}").json["errors"]


def test_a_part_that_is_sent_back_erases_nothing(make: Make, api: Api) -> None:
    seen = make(*BOTH).get("Condition/q").json
    me = make("physician")
    part = me.get("Condition/p?_elements=code").json
    assert "evidence" not in part
    urls = ("Condition/p", "Condition?_id=p")
    answers = [me.put(url, part) for url in urls] + [api.put("Condition/q", seen), api.put("Condition/new", seen)]
    for kind in ("batch", "transaction"):
        entry = {"resource": part, "request": {"method": "PUT", "url": "Condition/p"}}
        answer = me.post("", {"resourceType": "Bundle", "type": kind, "entry": [entry]})
        outcome = answer.json if kind == "transaction" else answer.json["entry"][0]["response"]
        assert (outcome["status"] if kind == "batch" else str(answer.status)).startswith("422"), answer.data
    for answer in answers[:3]:
        assert (answer.status, answer.json["issue"][0]["code"]) == (422, "business-rule"), answer.data
    for name in "pq":
        assert "evidence" in api.get(f"Condition/{name}").json
    assert me.put("Condition/p", {**me.get("Condition/p").json, "recordedDate": "2026"}).status == 200


@pytest.fixture
def narrowed(app: FhirServer, api: Api) -> None:
    """The clinic lets physicians read no conditions. It does so before anybody asks: that is remembered for a while."""
    taken = ["patients:Condition:read", "patients:Condition:search"]
    tenant = directory.tenant_id(app.database, api.slug)
    assert tenant is not None
    clinic_settings.write(app.database, tenant, {"narrowed": {"physician": taken}})


@pytest.fixture
def blind(narrowed: None, make: Make) -> Api:
    """A physician who may write conditions of patient p, and read them as billing only."""
    me = make(*BOTH)
    assert "evidence" not in me.get("Condition/p").json
    return me


def test_what_is_seen_in_part_is_not_written_over(blind: Api, api: Api) -> None:
    body = {name: value for name, value in condition("p").items() if name != "evidence"}
    patch = [{"op": "test", "path": "/evidence/0/code/0/coding/0/code", "value": "secret"}]
    wrong = [{"op": "test", "path": "/evidence/0/code/0/coding/0/code", "value": "other"}]
    answers = [
        blind.put("Condition/p", body),
        blind.put("Condition?_id=p", body),
        blind.patch("Condition/p", patch, Content_Type="application/json-patch+json"),
        blind.patch("Condition/p", wrong, Content_Type="application/json-patch+json"),
    ]
    assert [(one.status, one.headers["X-Decision-Reason"]) for one in answers] == [(403, "permission")] * 4
    assert answers[2].data.partition(b'"details"')[0] == answers[3].data.partition(b'"details"')[0]
    for kind in ("batch", "transaction"):
        entry = {"resource": body, "request": {"method": "PUT", "url": "Condition/p"}}
        blind.post("", {"resourceType": "Bundle", "type": kind, "entry": [entry]})
    assert api.get("Condition/p").json["meta"]["versionId"] == "1"
    assert blind.post("Condition", condition("p")).status == 201
