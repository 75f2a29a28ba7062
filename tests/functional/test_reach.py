"""Physicians see their own patients and nothing of anybody else's, by whatever road. docs/access.md"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.authn import keys
from fhir_server.authn.access_token import issue
from fhir_server.settings import Settings
from tests.functional.conftest import Answer, Api

ME, YOU = "Practitioner/me", "Practitioner/you"
SECRET = "Hidden"


def as_person(api: Api, settings: Settings, scope: str = "user/*.cruds", **claims: Any) -> Api:
    """The API as a person of the tenant uses it."""
    access_token = issue(
        keys.load_or_create(settings.key_file),
        issuer=settings.issuer,
        sub="someone",
        client_id="app",
        tenant=api.slug,
        scope=scope,
        lifetime=600,
        **({"roles": ["physician"], "fhir_user": ME} | claims),
    )
    return Api(api.app, api.slug, access_token)


def patient(name: str, doctor: str) -> dict[str, Any]:
    family = SECRET if name == "other" else "Shown"
    return {
        "resourceType": "Patient",
        "id": name,
        "name": [{"family": family}],
        "generalPractitioner": [{"reference": doctor}],
    }


def observation(name: str, whose: str, text: str = "x", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"text": text, "coding": [{"system": "urn:s", "code": "c"}]},
        "subject": {"reference": f"Patient/{whose}"},
        **more,
    }


LABORATORY = {
    "category": [
        {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}]}
    ]
}


@pytest.fixture
def clinic(api: Api) -> Api:
    """A clinic of two patients, one of each practitioner, with three observations each."""
    for name, doctor in (("own", ME), ("other", YOU)):
        assert api.put(f"Patient/{name}", patient(name, doctor)).status == 201
        for n in range(3):
            more = LABORATORY if n == 0 else {}
            body = observation(f"{name}-{n}", name, SECRET if name == "other" else "Shown", **more)
            assert api.put(f"Observation/{name}-{n}", body).status == 201
    return api


def ids(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.data
    entries = (entry.get("resource", {}) for entry in answer.json.get("entry", ()))
    return sorted(one["id"] for one in entries if one["resourceType"] != "OperationOutcome")


OWN = ["own-0", "own-1", "own-2"]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("Observation", OWN),
        ("Observation?code=c", OWN),
        ("Observation?code=urn:s|c&_sort=-date", OWN),
        ("Observation?patient=own", OWN),
        ("Observation?patient=other", []),
        ("Observation?subject:Patient.name=Hidden", []),
        ("Observation?_id=other-1", []),
        ("Observation?_filter=code eq c", OWN),
        ("Observation?_include=Observation:patient", ["own", *OWN]),
        ("Patient", ["own"]),
        ("Patient?name=Hidden", []),
        ("Patient?_has:Observation:patient:code=c", ["own"]),
        ("Patient?_revinclude=Observation:patient", ["own", *OWN]),
        ("?_type=Patient,Observation", ["own", *OWN]),
        ("Patient/own/*", OWN),
        ("Patient/other/*", []),
        ("Patient/other/Observation", []),
        ("Patient/own/$everything", ["own", *OWN]),
        ("Patient/_history", ["own"]),
        ("_history", ["own", *OWN]),
    ],
)
def test_searches_find_what_is_about_own_patients(clinic: Api, settings: Settings, path: str, found: list[str]) -> None:
    physician = as_person(clinic, settings)
    answer = physician.get(path)
    assert ids(answer) == sorted(found)
    assert SECRET.encode() not in answer.data.replace(b"name=Hidden", b"")
    if "history" not in path:
        counted = physician.get(path + ("&" if "?" in path else "?") + "_summary=count")
        if "$" not in path:
            matches = [one for one in answer.json.get("entry", ()) if one["search"]["mode"] == "match"]
            assert counted.json["total"] == answer.json["total"] == len(matches)


@pytest.mark.parametrize("kind", ["Patient/{}", "Observation/{}-0"])
def test_what_is_hidden_is_as_if_it_were_not_there(clinic: Api, settings: Settings, kind: str) -> None:
    physician = as_person(clinic, settings)
    hidden, missing = kind.format("other"), kind.format("nobody")
    body = {"resourceType": kind.partition("/")[0], "id": hidden.partition("/")[2]}
    for path in ("{}", "{}/_history", "{}/_history/1"):
        one, two = physician.get(path.format(hidden)), physician.get(path.format(missing))
        assert one.status == two.status == 404
        assert one.data.replace(hidden.encode(), b"*") == two.data.replace(missing.encode(), b"*")
    written = observation("other-0", "own") if body["resourceType"] == "Observation" else patient("other", ME)
    other = {**written, "id": missing.partition("/")[2]}
    one, two = physician.put(hidden, written), physician.put(missing, other)
    assert (one.status, two.status) in ((404, 404), (403, 403))
    assert clinic.get(hidden).json["meta"]["versionId"] == "1"


def test_later_pages_are_decided_as_the_first(clinic: Api, settings: Settings) -> None:
    physician = as_person(clinic, settings)
    page, found = physician.get("Observation?code=c&_count=1"), []
    while True:
        found += ids(page)
        following = [link["url"] for link in page.json["link"] if link["relation"] == "next"]
        if not following:
            break
        page = physician.get(following[0].partition("/fhir/")[2])
    assert sorted(found) == OWN


def test_nobody_writes_out_of_reach_or_into_it(clinic: Api, settings: Settings) -> None:
    physician = as_person(clinic, settings)
    refused = physician.post("Observation", observation("", "other") | {"id": "x"})
    assert refused.status == 403
    assert refused.headers["X-Decision-Reason"] == "relationship"
    assert refused.headers["X-Decision-Id"]
    assert physician.post("Observation", observation("x", "own")).status == 201
    assert physician.put("Observation/own-0", observation("own-0", "other")).status == 403
    assert physician.delete("Observation/own-0").status == 403
    encounter = {
        "resourceType": "Encounter",
        "status": "in-progress",
        "class": {"code": "AMB"},
        "subject": {"reference": "Patient/other"},
        "participant": [{"individual": {"reference": ME}}],
    }
    assert physician.post("Encounter", encounter).status == 403
    vouching = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"resource": encounter, "request": {"method": "POST", "url": "Encounter"}} for _ in range(2)],
    }
    assert physician.post("", vouching).status == 403
    assert physician.get("Patient/other").status == 404


def test_an_appointment_with_a_stranger_opens_no_record(clinic: Api, settings: Settings) -> None:
    physician = as_person(clinic, settings)
    actors = [ME, "Patient/own", "Patient/other"]
    appointment = {
        "resourceType": "Appointment",
        "status": "booked",
        "start": "2030-01-01T10:00:00Z",
        "end": "2030-01-01T11:00:00Z",
        "participant": [{"actor": {"reference": actor}, "status": "accepted"} for actor in actors],
    }
    assert physician.post("Appointment", appointment).status == 403
    appointment["participant"].pop()
    assert physician.post("Appointment", appointment).status == 201


def test_a_scope_reaches_no_further_than_its_constraint(clinic: Api, settings: Settings) -> None:
    narrow = as_person(
        clinic, settings, "patient/Observation.crus?category=laboratory patient/Patient.r", patient="own"
    )
    assert ids(narrow.get("Observation")) == ["own-0"]
    assert narrow.get("Observation/own-0").status == 200
    assert narrow.get("Observation/own-1").status == 404
    assert narrow.get("Patient/own").status == 200
    assert narrow.post("Observation", observation("x", "own")).status == 403
    assert narrow.post("Observation", observation("x", "own", **LABORATORY)).status == 201
    assert narrow.get("Condition").status == 403


def test_a_patient_reads_their_own_record(clinic: Api, settings: Settings) -> None:
    claims = {"roles": ["patient"], "fhir_user": "Patient/own", "patient": "own"}
    for scope in ("patient/*.rs", "user/*.rs"):
        own = as_person(clinic, settings, scope, **claims)
        for path in ("Patient/own", "Observation/own-0", "Observation/own-0/_history/1", "Observation/own-0/_history"):
            assert own.get(path).status == 200, path
        for path in ("Patient/other", "Observation/other-0", "Observation/other-0/_history/1"):
            assert own.get(path).status == 404, path


def test_versions_of_another_patient_stay_theirs(clinic: Api, settings: Settings) -> None:
    clinic.put("Observation/moved", observation("moved", "other", SECRET))
    clinic.put("Observation/moved", observation("moved", "own", "Shown"))
    physician = as_person(clinic, settings)
    assert physician.get("Observation/moved").status == 200
    assert physician.get("Observation/moved/_history/2").status == 200
    assert physician.get("Observation/moved/_history/1").status == 404
    assert SECRET.encode() not in physician.get("Observation/moved/_history").data
    assert SECRET.encode() not in physician.get("Observation/_history").data


def test_batches_and_graphql_are_decided_entry_by_entry(clinic: Api, settings: Settings) -> None:
    physician = as_person(clinic, settings)
    urls = ["Patient/own", "Patient/other", "Observation?code=c"]
    bundle = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"request": {"method": "GET", "url": url}} for url in urls],
    }
    answer = physician.post("", bundle)
    assert [entry["response"]["status"][:3] for entry in answer.json["entry"]] == ["200", "404", "200"]
    assert SECRET.encode() not in answer.data
    query = '{ObservationList(code: "c") {id subject {reference resource {... on Patient {id}}}}}'
    answer = physician.post("$graphql", {"query": query})
    assert answer.status == 200
    assert sorted(one["id"] for one in answer.json["data"]["ObservationList"]) == OWN


def test_whoever_is_nobody_in_fhir_sees_nobody(clinic: Api, settings: Settings) -> None:
    nobody = as_person(clinic, settings, fhir_user="")
    assert ids(nobody.get("Observation")) == []
    assert nobody.get("Patient/own").status == 404
    assert as_person(clinic, settings, roles=[]).get("Patient/own").status == 403


def test_a_clinic_admin_sees_all(clinic: Api, settings: Settings) -> None:
    admin = as_person(clinic, settings, roles=["clinic_admin"], fhir_user="")
    assert len(ids(admin.get("Observation"))) == 6
    assert admin.get("Patient/other").status == 200
