"""Patch over HTTP. https://hl7.org/fhir/R4/http.html#patch"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.functional.conftest import Answer, Api

Json = dict[str, Any]


def json_patch(api: Api, path: str, *operations: Json, **headers: str) -> Answer:
    return api.patch(path, list(operations), Content_Type="application/json-patch+json", **headers)


def fhirpath_patch(api: Api, path: str, *parts: Json) -> Answer:
    body = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": list(parts)}]}
    return api.patch(path, body)


def test_json_patch(api: Api) -> None:
    api.put("Patient/1", {"resourceType": "Patient", "id": "1", "name": [{"family": "Old", "given": ["A", "B"]}]})
    answer = json_patch(
        api,
        "Patient/1",
        {"op": "test", "path": "/name/0/family", "value": "Old"},
        {"op": "replace", "path": "/name/0/family", "value": "New"},
        {"op": "remove", "path": "/name/0/given/0"},
    )
    assert answer.status == 200
    assert answer.headers["ETag"] == 'W/"2"'
    assert answer.json["name"] == [{"family": "New", "given": ["B"]}]
    assert api.get("Patient?family=new").json["total"] == 1
    assert api.get("Patient/1/_history/1").json["name"][0]["family"] == "Old"


def test_fhirpath_patch(api: Api) -> None:
    api.put("Patient/1", {"resourceType": "Patient", "id": "1", "gender": "male"})
    answer = fhirpath_patch(
        api,
        "Patient/1",
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "Patient.gender"},
        {"name": "value", "valueCode": "female"},
    )
    assert answer.status == 200
    assert answer.json["gender"] == "female"


def test_decimals_keep_their_digits(api: Api) -> None:
    sent = (
        b'{"resourceType":"Observation","id":"1","status":"final","code":{"text":"x"},'
        b'"valueQuantity":{"value":1.00},"referenceRange":[{"low":{"value":0.010}}]}'
    )
    assert api.put("Observation/1", sent).status == 201
    assert json_patch(api, "Observation/1", {"op": "replace", "path": "/status", "value": "amended"}).status == 200
    got = api.get("Observation/1").json
    assert got["status"] == "amended"
    assert str(got["valueQuantity"]["value"]) == "1.00"
    assert str(got["referenceRange"][0]["low"]["value"]) == "0.010"


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        ({"op": "replace", "path": "/gender", "value": "x"}, 422),
        ({"op": "add", "path": "/unknown", "value": 1}, 422),
        ({"op": "replace", "path": "/id", "value": "2"}, 422),
        ({"op": "replace", "path": "/resourceType", "value": "Person"}, 422),
        ({"op": "remove", "path": "/missing"}, 422),
        ({"op": "test", "path": "/active", "value": False}, 422),
        ({"op": "replace", "path": "", "value": []}, 422),
        ({"op": "jump", "path": "/active"}, 400),
    ],
)
def test_refusals_change_nothing(api: Api, operation: Json, status: int) -> None:
    api.put("Patient/1", {"resourceType": "Patient", "id": "1", "active": True})
    assert json_patch(api, "Patient/1", operation).status == status
    assert api.get("Patient/1").headers["ETag"] == 'W/"1"'


def test_what_is_not_there_cannot_be_patched(api: Api) -> None:
    operation = {"op": "add", "path": "/active", "value": True}
    assert json_patch(api, "Patient/1", operation).status == 404
    api.put("Patient/1", {"resourceType": "Patient", "id": "1"})
    api.delete("Patient/1")
    assert json_patch(api, "Patient/1", operation).status == 410


def test_if_match(api: Api) -> None:
    api.put("Patient/1", {"resourceType": "Patient", "id": "1"})
    operation = {"op": "add", "path": "/active", "value": True}
    assert json_patch(api, "Patient/1", operation, If_Match='W/"2"').status == 412
    assert json_patch(api, "Patient/1", operation, If_Match='W/"1"').status == 200
    assert json_patch(api, "Patient/1", operation, If_Match="nonsense").status == 412
    assert json_patch(api, "Patient/1", operation, If_Match="*").status == 200


def test_parallel_patches_lose_nothing(api: Api) -> None:
    api.put("Patient/1", {"resourceType": "Patient", "id": "1", "name": [{"family": "x"}]})

    def add(number: int) -> Answer:
        return json_patch(api, "Patient/1", {"op": "add", "path": "/name/-", "value": {"family": f"n{number}"}})

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(add, range(30)))
    assert [answer.status for answer in answers] == [200] * 30
    families = {name["family"] for name in api.get("Patient/1").json["name"]}
    assert families == {"x", *(f"n{number}" for number in range(30))}


def test_parallel_patches_with_if_match_have_one_winner(api: Api) -> None:
    api.put("Patient/1", {"resourceType": "Patient", "id": "1"})
    operation = {"op": "add", "path": "/active", "value": True}
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: json_patch(api, "Patient/1", operation, If_Match='W/"1"'), range(20)))
    assert sorted(answer.status for answer in answers) == [200] + [412] * 19


def test_needs_the_permission_to_update(new_api: Any) -> None:
    full = new_api()
    full.put("Patient/1", {"resourceType": "Patient", "id": "1"})
    operation = {"op": "add", "path": "/active", "value": True}
    assert json_patch(new_api("system/Patient.rcds", full.slug), "Patient/1", operation).status == 403
    assert json_patch(new_api("system/Patient.u", full.slug), "Patient/1", operation).status == 200
