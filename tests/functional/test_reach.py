"""Physicians see their own patients and nothing of anybody else's, by whatever road. docs/access.md"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.authn import keys
from fhir_server.authn.access_token import issue
from fhir_server.settings import Settings
from tests.functional.conftest import Api

OWN, OTHER = "own", "other"


@pytest.fixture
def physician(api: Api, settings: Settings) -> Api:
    access_token = issue(
        keys.load_or_create(settings.key_file),
        issuer=settings.issuer,
        sub="someone",
        client_id="app",
        tenant=api.slug,
        scope="user/*.cruds",
        lifetime=600,
        roles=["physician"],
        fhir_user="Practitioner/me",
    )
    return Api(api.app, api.slug, access_token)


def test_x(api: Api, physician: Api) -> None:
    for who, doctor in ((OWN, "me"), (OTHER, "you")):
        patient = {
            "resourceType": "Patient",
            "id": who,
            "generalPractitioner": [{"reference": f"Practitioner/{doctor}"}],
            "name": [{"family": who}],
        }
        assert api.put(f"Patient/{who}", patient).status == 201
        for n in range(3):
            body = {
                "resourceType": "Observation",
                "id": f"{who}{n}",
                "status": "final",
                "code": {"text": "x", "coding": [{"system": "s", "code": "c"}]},
                "subject": {"reference": f"Patient/{who}"},
            }
            assert api.put(f"Observation/{who}{n}", body).status == 201
    db = api.app.database
    h = __import__("fhir_server.crypto.hashing", fromlist=["Hasher"]).Hasher(
        __import__("fhir_server.store.directory", fromlist=["x"]).hash_key(db)
    )
    tid = __import__("fhir_server.store.directory", fromlist=["x"]).tenant_id(db, api.slug)
    db.transaction(
        tid,
        lambda c: c.execute(
            "INSERT INTO care_relation VALUES (%s,%s,%s,1,1,-9000000000000000000,9000000000000000000) ON CONFLICT DO NOTHING",
            [tid, h("Practitioner/me"), h("Patient/own")],
        ),
    )
    for path in (
        "Patient/own",
        "Observation/own1",
        "Observation?code=c",
        "Observation?patient=own",
        "Observation",
        "Patient",
        "Patient?_has:Observation:patient:code=c",
        "Observation?patient.name=other",
        "Patient/own/$everything",
        "Patient/other/$everything",
        "Patient/_history",
        "Patient/own/_history",
        "Patient/other",
        "Patient/other/_history/1",
        "Observation?_include=Observation:patient&_total=accurate",
        "Patient?_revinclude=Observation:patient",
        "Observation?_summary=count",
        "Observation?code=c&_sort=-date",
        "?_type=Patient,Observation",
        "Patient/own/*",
        "Patient/other/*",
        "Observation/$lastn?code=c",
        "_history",
    ):
        a = physician.get(path)
        j = a.json
        print(
            path,
            a.status,
            [e["resource"].get("id", str(e)) for e in j.get("entry", []) if "resource" in e]
            if "entry" in j
            else j.get("total", j.get("id", j.get("issue"))),
            j.get("total"),
        )
        assert "other" not in a.data.decode().replace("name=other", "").replace("Patient/other", ""), a.data
    print(
        physician.post(
            "Observation",
            {
                "resourceType": "Observation",
                "status": "final",
                "code": {"text": "x"},
                "subject": {"reference": "Patient/other"},
            },
        ).json
    )
    print(
        physician.post(
            "Observation",
            {
                "resourceType": "Observation",
                "status": "final",
                "code": {"text": "x"},
                "subject": {"reference": "Patient/own"},
            },
        ).status
    )
    print(
        physician.put(
            "Observation/other1",
            {
                "resourceType": "Observation",
                "id": "other1",
                "status": "final",
                "code": {"text": "x"},
                "subject": {"reference": "Patient/own"},
            },
        ).json
    )
    print(
        physician.put(
            "Observation/own1",
            {
                "resourceType": "Observation",
                "id": "own1",
                "status": "final",
                "code": {"text": "x"},
                "subject": {"reference": "Patient/own"},
            },
        ).status
    )
    print(
        physician.put(
            "Observation/own1",
            {
                "resourceType": "Observation",
                "id": "own1",
                "status": "final",
                "code": {"text": "x"},
                "subject": {"reference": "Patient/other"},
            },
        ).status
    )
    print(physician.delete("Observation/own1").json)
