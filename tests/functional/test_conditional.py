"""Conditional create, update, patch and delete. https://hl7.org/fhir/R4/http.html#cond-update"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.functional.conftest import Answer, Api

Json = dict[str, Any]
JSON_PATCH = "application/json-patch+json"
ACTIVATE = [{"op": "add", "path": "/active", "value": True}]


def patient(value: str, **elements: Any) -> Json:
    return {"resourceType": "Patient", "identifier": [{"system": "urn:oid:1.2.3", "value": value}], **elements}


def create(api: Api, resource: Json, criteria: str, **headers: str) -> Answer:
    return api.post("Patient", resource, If_None_Exist=criteria, **headers)


def count(api: Api, value: str) -> int:
    total: int = api.get(f"Patient?identifier={value}&_summary=count").json["total"]
    return total


def code(answer: Answer) -> str:
    found: str = answer.json["issue"][0]["code"]
    return found


def test_create_only_if_nothing_matches(api: Api) -> None:
    first = create(api, patient("1"), "identifier=urn:oid:1.2.3|1")
    assert first.status == 201
    again = create(api, patient("1", active=True), "identifier=urn:oid:1.2.3|1")
    assert again.status == 200
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["ETag"] == 'W/"1"'
    assert again.json == first.json
    assert create(api, patient("1"), "identifier=1", Prefer="return=minimal").data == b""
    outcome = create(api, patient("1"), "identifier=1", Prefer="return=OperationOutcome").json
    assert outcome["resourceType"] == "OperationOutcome"
    api.post("Patient", patient("1"))
    several = create(api, patient("1"), "identifier=1")
    assert several.status == 412
    assert code(several) == "multiple-matches"
    assert count(api, "1") == 2


@pytest.mark.parametrize(
    "criteria", ["", "?", "&", "_format=json", "unknown=1", "identifier=", "_count=1", "_sort=_id", "identifer=1"]
)
def test_criteria_that_would_match_everything_are_refused(api: Api, criteria: str) -> None:
    api.post("Patient", patient("1"))
    lenient = {"Prefer": "handling=lenient"}
    for headers in ({}, lenient):
        assert create(api, patient("2"), criteria, **headers).status == 400
        assert api.put(f"Patient?{criteria}", patient("2"), **headers).status == 400
        assert api.patch(f"Patient?{criteria}", ACTIVATE, Content_Type=JSON_PATCH, **headers).status == 400
        assert api.delete(f"Patient?{criteria}", **headers).status == 400
    assert api.get("Patient?_summary=count").json["total"] == 1


def test_the_body_is_validated_and_of_the_right_type(api: Api) -> None:
    assert create(api, {"resourceType": "Practitioner"}, "identifier=1").status == 400
    assert create(api, patient("1", gender="x"), "identifier=1").status == 422
    assert api.put("Patient?identifier=1", [1]).status == 400


def test_twenty_parallel_creates_make_one_resource(api: Api) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: create(api, patient("once"), "identifier=urn:oid:1.2.3|once"), range(20)))
    assert sorted(answer.status for answer in answers) == [200] * 19 + [201]
    assert len({answer.headers["Location"] for answer in answers}) == 1
    assert count(api, "once") == 1


def test_parallel_creates_whose_criteria_are_ordered_differently_make_one_resource(api: Api) -> None:
    queries = ["identifier=a&active=true", "active=true&identifier=a", "active=true&identifier=a&_format=json"]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda n: create(api, patient("a", active=True), queries[n % 3]), range(12)))
    assert sorted(answer.status for answer in answers) == [200] * 11 + [201]


def test_tenants_do_not_meet(new_api: Callable[..., Api]) -> None:
    assert create(new_api(), patient("1"), "identifier=1").status == 201
    assert create(new_api(), patient("1"), "identifier=1").status == 201


def test_criteria_need_the_permission_to_search(new_api: Callable[..., Api]) -> None:
    api = new_api("system/Patient.cud")
    answer = create(api, patient("1"), "identifier=1")
    assert answer.status == 403
    assert "system/Patient.s" in answer.json["issue"][0]["diagnostics"]
    assert create(new_api("system/Patient.cs", api.slug), patient("1"), "identifier=1").status == 201
    assert api.delete("Patient?identifier=1").status == 403


def test_update(api: Api) -> None:
    made = api.put("Patient?identifier=urn:oid:1.2.3|1", patient("1"))
    assert made.status == 201
    updated = api.put("Patient?identifier=1", patient("1", active=True))
    assert updated.status == 200
    assert updated.id == made.id
    assert updated.headers["ETag"] == 'W/"2"'
    assert api.put("Patient?identifier=1", patient("1", id=made.id)).status == 200
    other = api.put("Patient?identifier=1", patient("1", id="other"))
    assert other.status == 400
    assert other.json["issue"][0]["expression"] == ["id"]
    assert api.get("Patient/other").status == 404
    api.post("Patient", patient("1"))
    several = api.put("Patient?identifier=1", patient("1"))
    assert (several.status, code(several)) == (412, "multiple-matches")


def test_update_as_create_keeps_the_id_and_overwrites_nothing(api: Api) -> None:
    made = api.put("Patient?identifier=new", patient("new", id="chosen"))
    assert (made.status, made.id) == (201, "chosen")
    taken = api.put("Patient?identifier=another", patient("another", id="chosen"))
    assert taken.status == 409
    assert api.get("Patient/chosen").headers["ETag"] == 'W/"1"'
    assert api.put("Patient?identifier=bad", patient("bad", id="not an id")).status == 422


def test_update_with_conditions_on_the_version(api: Api) -> None:
    assert api.put("Patient?identifier=1", patient("1"), If_Match='W/"1"').status == 412
    assert api.put("Patient?identifier=1", patient("1"), If_None_Match="*").status == 201
    assert api.put("Patient?identifier=1", patient("1"), If_None_Match="*").status == 412
    assert api.put("Patient?identifier=1", patient("1"), If_Match='W/"7"').status == 412
    assert api.put("Patient?identifier=1", patient("1"), If_Match='W/"1"').status == 200


def test_parallel_updates_make_one_resource_and_lose_none(api: Api) -> None:
    with ThreadPoolExecutor(10) as pool:
        answers = list(
            pool.map(lambda n: api.put("Patient?identifier=1", patient("1", multipleBirthInteger=n)), range(20))
        )
    assert sorted(answer.status for answer in answers) == [200] * 19 + [201]
    assert {answer.headers["ETag"] for answer in answers} == {f'W/"{n}"' for n in range(1, 21)}


def test_patch(api: Api) -> None:
    assert api.patch("Patient?identifier=1", ACTIVATE, Content_Type=JSON_PATCH).status == 404
    made = api.post("Patient", patient("1"))
    patched = api.patch("Patient?identifier=1", ACTIVATE, Content_Type=JSON_PATCH)
    assert (patched.status, patched.id) == (200, made.id)
    assert patched.json["active"] is True
    assert api.patch("Patient?identifier=1", ACTIVATE, Content_Type=JSON_PATCH, If_Match='W/"1"').status == 412
    api.post("Patient", patient("1"))
    assert api.patch("Patient?identifier=1", ACTIVATE, Content_Type=JSON_PATCH).status == 412


def test_delete(api: Api) -> None:
    assert api.delete("Patient?identifier=1").status == 204
    made = api.post("Patient", patient("1"))
    assert api.delete("Patient?identifier=1").status == 204
    assert api.get(f"Patient/{made.id}").status == 410
    assert api.delete("Patient?identifier=1").status == 204
    both = [api.post("Patient", patient("2")) for _ in range(2)]
    several = api.delete("Patient?identifier=2")
    assert (several.status, code(several)) == (412, "multiple-matches")
    assert [api.get(f"Patient/{made.id}").status for made in both] == [200, 200]
