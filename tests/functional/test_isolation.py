"""Nothing of one tenant is reached by another: every route, with the policy and with row level security alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import Client

from fhir_server.access import policy
from fhir_server.access.policy import EVERYTHING
from fhir_server.rest.routes import ROUTES
from tests.functional.conftest import Api

SECRET = "Vandersecret"
"""What the attacker knows of the victim, and asks for."""
HIDDEN = "Hiddenplace"
"""What stands beside it: it must never be seen."""
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


def victim_data(api: Api) -> dict[str, str]:
    """Resources of the tenant that is attacked; every one of them carries the secret."""
    patient = {
        "resourceType": "Patient",
        "id": "victim",
        "name": [{"family": SECRET}],
        "identifier": [{"system": "urn:mrn", "value": SECRET}],
        "address": [{"city": HIDDEN}],
    }
    assert api.put("Patient/victim", patient).status == 201
    assert api.put("Patient/victim", patient | {"active": True}).status == 200
    observation = {
        "resourceType": "Observation",
        "id": "victim-obs",
        "status": "final",
        "code": {"text": SECRET, "coding": [{"system": "http://loinc.org", "code": "4548-4"}]},
        "subject": {"reference": "Patient/victim"},
        "note": [{"text": HIDDEN}],
    }
    assert api.put("Observation/victim-obs", observation).status == 201
    return {"Patient": "victim", "Observation": "victim-obs"}


def attacks(path_of: Callable[[str], str]) -> list[tuple[str, str, Any]]:
    """Every route with every method it has, as (method, path, body)."""
    patient = {"resourceType": "Patient", "id": "victim", "name": [{"family": "Attacker"}]}
    json_patch = [{"op": "replace", "path": "/name/0/family", "value": "Attacker"}]
    found: list[tuple[str, str, Any]] = []
    for route in ROUTES:
        path = path_of(route.template)
        for method in route.methods:
            body: Any = None
            if method in ("POST", "PUT"):
                body = patient
            if method == "PATCH":
                body = json_patch
            if route.template == "" and method == "POST":
                for entry in bundle_entries():
                    found.append(("POST", "", {"resourceType": "Bundle", "type": "batch", "entry": [entry]}))
                    found.append(("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}))
                continue
            found.append((method, path, body))
    patients = (
        f"name={SECRET}", f"identifier=urn:mrn|{SECRET}", f"identifier={SECRET}", "_id=victim", "_lastUpdated=gt2000",
        "", "name:missing=false", "_count=0&_total=accurate", "_summary=count", "_elements=name", "_sort=_lastUpdated",
    )  # fmt: skip
    observations = ("subject=Patient/victim", "patient=victim", "code=4548-4", "code=http://loinc.org|4548-4")
    operations = (
        "Patient/victim/$everything", "Patient/victim/$everything?_count=1", "Observation/$lastn?patient=victim",
        "Patient/victim/$graphql?query={name{family}}", "$graphql?query={PatientList{name{family}address{city}}}",
        "$graphql?query={ObservationConnection(patient:victim){count,edges{resource{code{text}}}}}",
        "$graphql?query={Patient(id:victim){address{city}}}",
    )  # fmt: skip
    found.extend(("GET", path, None) for path in operations)
    found.extend(("GET", f"Patient?{query}", None) for query in patients)
    found.extend(("GET", f"Observation?{query}", None) for query in observations)
    return found


def bundle_entries() -> list[dict[str, Any]]:
    """Bundle entries that try to read or write what is not theirs."""
    patient = {"resourceType": "Patient", "id": "victim", "name": [{"family": "Attacker"}]}
    return [
        {"request": {"method": "GET", "url": "Patient/victim"}},
        {"request": {"method": "GET", "url": "Patient/victim/_history/1"}},
        {"request": {"method": "GET", "url": f"Patient?name={SECRET}"}},
        {"request": {"method": "DELETE", "url": "Patient/victim"}},
        {"request": {"method": "DELETE", "url": f"Patient?identifier=urn:mrn|{SECRET}"}},
        {"resource": patient, "request": {"method": "PUT", "url": "Patient/victim", "ifMatch": 'W/"2"'}},
        {"resource": patient, "request": {"method": "PUT", "url": f"Patient?identifier=urn:mrn|{SECRET}"}},
    ]


def paths(template: str) -> str:
    """A route's template filled in with the victim's resource."""
    path = template.replace("$operation", "$validate").replace("vid", "1")
    path = path.replace("type/id/type", "Patient/victim/Observation")
    return path.replace("type/id", "Patient/victim").replace("type", "Patient")


def snapshot(api: Api) -> list[Any]:
    """All that the victim has, in every version."""
    return [api.get(p).json for p in ("Patient/victim", "Patient/victim/_history/1", "Observation/victim-obs")]


def test_another_tenants_access_token_reaches_nothing(new_api: Callable[..., Api]) -> None:
    """The attacker sends its access_token to the victim's base: refused before anything is looked up."""
    victim, attacker = new_api(), new_api()
    victim_data(victim)
    before = snapshot(victim)
    crossing = Api(victim.app, victim.slug, attacker.access_token)
    for method, path, body in attacks(paths):
        if path == "metadata":
            continue
        headers = {"Content_Type": "application/json-patch+json"} if method == "PATCH" else {}
        answer = crossing(method, path, body, **headers)
        assert answer.status == 403, (method, path)
        assert SECRET not in answer.data.decode()
        assert HIDDEN not in answer.data.decode()
    assert snapshot(victim) == before


def test_nor_by_the_host_name(new_api: Callable[..., Api]) -> None:
    victim, attacker = new_api(), new_api()
    victim_data(victim)
    client = Client(victim.app)
    for slug, status in ((victim.slug, 403), (attacker.slug, 404)):
        answer = client.get(
            "/fhir/Patient/victim",
            headers={"Host": f"{slug}.localhost:8080", "Authorization": f"Bearer {attacker.access_token}"},
        )
        assert answer.status_code == status
        assert HIDDEN not in answer.text


@pytest.mark.parametrize("policy_off", [False, True], ids=["policy", "row level security alone"])
def test_at_its_own_base_it_finds_its_own_only(
    new_api: Callable[..., Api], monkeypatch: pytest.MonkeyPatch, policy_off: bool
) -> None:
    """The attacker asks its own base for the victim's ids, names and numbers, with the decision switched off too."""
    victim, attacker = new_api(), new_api()
    victim_data(victim)
    before = snapshot(victim)
    if policy_off:
        # Whoever has imported decide() asks this function in the end.
        monkeypatch.setattr(policy, "_decide", lambda *_: EVERYTHING)
    for method, path, body in attacks(paths):
        headers = {"Content_Type": "application/json-patch+json"} if method == "PATCH" else {}
        answer = attacker(method, path, body, **headers)
        assert answer.status < 500, (method, path, answer.data)
        assert HIDDEN not in answer.data.decode(), (method, path)
    assert snapshot(victim) == before


def test_a_cursor_of_another_tenant_does_not_open(new_api: Callable[..., Api]) -> None:
    victim, attacker = new_api(), new_api()
    for n in range(3):
        victim.post("Patient", {"resourceType": "Patient", "name": [{"family": f"{SECRET}{n}"}]})
    page = victim.get("Patient?_count=1").json
    following = next(link["url"] for link in page["link"] if link["relation"] == "next").rpartition("/")[2]
    assert victim.get(following).status == 200
    answer = attacker.get(following)
    assert answer.status == 400
    assert SECRET not in answer.data.decode()


@pytest.mark.parametrize(
    ("scope", "method", "path", "status"),
    [
        ("system/Observation.cruds", "GET", "Patient/victim", 403),
        ("system/Patient.r", "GET", "Patient/victim", 200),
        ("system/Patient.r", "GET", "Patient", 403),
        ("system/Patient.r", "DELETE", "Patient/victim", 403),
        ("system/Patient.cud", "GET", "Patient/victim", 403),
        ("system/Patient.cud", "GET", "Patient/victim/_history", 403),
        ("system/Patient.s", "GET", "_history", 200),
        ("system/Patient.r", "GET", "_history", 403),
        ("user/*.cruds", "GET", "Patient/victim", 403),
        ("patient/*.cruds", "GET", "Patient/victim", 403),
        ("openid", "GET", "Patient/victim", 403),
    ],
)
def test_scopes_bound_each_interaction(
    new_api: Callable[..., Api], scope: str, method: str, path: str, status: int
) -> None:
    full = new_api()
    victim_data(full)
    assert new_api(scope, full.slug)(method, path).status == status


def test_history_of_everything_shows_permitted_types_only(new_api: Callable[..., Api]) -> None:
    full = new_api()
    victim_data(full)
    found = new_api("system/Observation.s", full.slug).get("_history").json
    assert {e["resource"]["resourceType"] for e in found["entry"]} == {"Observation"}


def test_bundles_decide_each_entry(new_api: Callable[..., Api]) -> None:
    full = new_api()
    victim_data(full)
    narrow = new_api("system/Observation.r", full.slug)
    entries = [
        {"request": {"method": "GET", "url": u}} for u in ("Observation/victim-obs", "Patient/victim", "Patient")
    ]
    answer = narrow.post("", {"resourceType": "Bundle", "type": "batch", "entry": entries}).json
    assert [e["response"]["status"][:3] for e in answer["entry"]] == ["200", "403", "403"]
    assert narrow.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries}).status == 403
