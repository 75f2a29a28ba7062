"""Writes that say for whom they are made. https://hl7.org/fhir/R4/provenance.html#header"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.functional.conftest import Api

AGENT = {"who": {"reference": "Practitioner/a"}, "onBehalfOf": {"reference": "Organization/b"}}
GIVEN = {"resourceType": "Provenance", "recorded": "2026-11-26T10:00:00Z", "agent": [AGENT]}
PATCH = [{"op": "replace", "path": "/gender", "value": "male"}]


def header(**changes: Any) -> str:
    return json.dumps(GIVEN | changes)


def targets(api: Api) -> list[str]:
    """What the clinic's Provenances are about, oldest first."""
    found = api.get("Provenance?_sort=_lastUpdated").json.get("entry", [])
    return [one["reference"] for entry in found for one in entry["resource"]["target"]]


def test_each_write_has_its_own(api: Api) -> None:
    created = api.post("Patient", {"resourceType": "Patient", "gender": "female"}, X_Provenance=header())
    assert created.status == 201
    name = f"Patient/{created.id}"
    body = {"resourceType": "Patient", "id": created.id, "gender": "other"}
    assert api.put(name, body, X_Provenance=header()).status == 200
    kind = "application/json-patch+json"
    assert api.patch(name, PATCH, X_Provenance=header(), Content_Type=kind).status == 200
    search = "Patient?_id=" + created.id
    assert api.put(search, body | {"active": True}, X_Provenance=header()).status == 200
    assert targets(api) == [f"{name}/_history/{version}" for version in (1, 2, 3, 4)]
    agents = api.get(f"Provenance?target={name}").json["entry"][0]["resource"]["agent"]
    assert agents == [AGENT]
    assert len(api.get(f"Patient?_id={created.id}&_revinclude=Provenance:target").json["entry"]) == 5


def test_where_nothing_is_written_there_is_none(api: Api) -> None:
    patient = {"resourceType": "Patient", "identifier": [{"system": "urn:s", "value": "1"}]}
    api.post("Patient", patient)
    found = api.post("Patient", patient, X_Provenance=header(), If_None_Exist="identifier=urn:s|1")
    assert found.status == 200
    assert targets(api) == []


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ("nonsense", 400),
        ("[]", 400),
        ('{"resourceType": "Patient"}', 400),
        (header(target=[{"reference": "Patient/1"}]), 400),
        (header(agent=[]), 400),
        (header(recorded="yesterday"), 400),
        (header(nonsense=1), 400),
        (header(reason=[{"text": "a" * 9000}]), 400),
    ],
)
def test_both_or_neither(api: Api, given: str, status: int) -> None:
    answer = api.put("Patient/p", {"resourceType": "Patient", "id": "p"}, X_Provenance=given)
    assert answer.status in (status, 422), answer.data
    assert api.get("Patient/p").status == 404
    assert targets(api) == []


def test_a_patient_that_cannot_be_written_leaves_none(api: Api) -> None:
    wrong = {"resourceType": "Patient", "id": "p", "gender": "nonsense"}
    assert api.put("Patient/p", wrong, X_Provenance=header()).status == 422
    assert targets(api) == []


def test_it_needs_a_permission_of_its_own(new_api: Callable[..., Api]) -> None:
    api = new_api("system/Patient.cruds")
    patient = {"resourceType": "Patient", "id": "p"}
    assert api.put("Patient/p", patient, X_Provenance=header()).status == 403
    assert api.get("Patient/p").status == 404
    assert api.put("Patient/p", patient).status == 201
