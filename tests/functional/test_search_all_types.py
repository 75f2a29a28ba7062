"""Searches of all types by ids, by whoever sees some of each. docs/search.md"""

from __future__ import annotations

from typing import Any

import pytest

from tests.functional.conftest import Api
from tests.functional.test_consents_in_writing import OTHER, WITHHELD, Make, make, observation

__all__ = ["make"]


@pytest.fixture
def clinic(api: Api, make: Make) -> Api:
    """A clinic with a consent, where resources of several types and patients have one id."""
    subject: dict[str, Any] = {"reference": "Patient/p"}
    same = {
        "Condition": {"subject": subject}, "Basic": {"subject": subject, "code": {"text": "x"}},
        "Procedure": {"subject": subject, "status": "completed"}, "Organization": {"name": "x"},
        "Encounter": {"subject": {"reference": "Patient/z"}, "status": "planned", "class": {"code": "AMB"}},
    }  # fmt: skip
    assert api.put("Patient/z", {"resourceType": "Patient", "id": "z"}).status == 201
    for name, body in same.items():
        assert api.put(f"{name}/same", {"resourceType": name, "id": "same", **body}).status == 201
    assert api.put("Observation/same", observation("same", WITHHELD)).status == 201
    assert api.put("Observation/mine", observation("mine", OTHER)).status == 201
    return api


def pages(who: Api, query: str) -> list[list[str]]:
    """The resources of each page."""
    found, path = [], f"?{query}"
    while path:
        answer = who.get(path)
        assert answer.status == 200, answer.data
        entries = answer.json.get("entry", [])
        found.append([f"{one['resource']['resourceType']}/{one['resource']['id']}" for one in entries])
        links = {one["relation"]: one["url"] for one in answer.json["link"]}
        path = links.get("next", "").partition("/fhir/")[2]
    return found


def test_what_has_the_ids_is_found_of_every_type_within_reach(clinic: Api, make: Make) -> None:
    me = make("physician")
    seen = {"Condition/same", "Basic/same", "Procedure/same", "Organization/same"}
    answer = me.get("?_id=same&_total=accurate")
    assert {f"{one['resource']['resourceType']}/same" for one in answer.json["entry"]} == seen
    assert answer.json["total"] == len(seen)
    found = pages(me, "_id=same,mine,none&_count=2")
    assert sorted(name for page in found for name in page) == sorted([*seen, "Observation/mine"])
    assert [len(page) for page in found] == [2, 2, 1]
    newest = pages(me, "_id=same,mine&_count=2&_sort=-_lastUpdated")
    assert newest[0][0] == "Observation/mine"
    assert sorted(name for page in newest for name in page) == sorted(name for page in found for name in page)
    assert pages(me, "_id=same&_id=mine") == [[]]
    assert pages(me, "_id=same&_lastUpdated=lt2000") == [[]]
    assert set(pages(me, "_id=same&_type=Condition,Encounter")[0]) == {"Condition/same"}


def test_a_part_and_another_clinic(clinic: Api, make: Make, new_api: Any) -> None:
    """Who has roles with masks finds what either lets through, and nobody what another clinic has."""
    me = make("physician", "billing")
    found = {one["resource"]["resourceType"]: one["resource"] for one in me.get("?_id=same").json["entry"]}
    assert set(found) == {"Condition", "Basic", "Procedure", "Organization", "Encounter"}
    assert [name for name, one in found.items() if "tag" in one["meta"]] == ["Encounter"]
    assert new_api().get("?_id=same").json.get("entry", []) == []
