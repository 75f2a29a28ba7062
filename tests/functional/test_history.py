"""The history of a resource, a type, everything. https://hl7.org/fhir/R4/http.html#history"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest

from tests.functional.conftest import Api

Json = dict[str, Any]


def patient(**elements: Any) -> Json:
    return {"resourceType": "Patient", **elements}


def link(bundle: Json, relation: str) -> str | None:
    return next((found["url"] for found in bundle["link"] if found["relation"] == relation), None)


def pages(api: Api, path: str) -> Iterator[Json]:
    """Every page, by the next links."""
    while True:
        answer = api.get(path)
        assert answer.status == 200, answer.data
        yield answer.json
        following = link(answer.json, "next")
        if following is None:
            return
        path = following.partition("/fhir/")[2]


def names(bundle: Json) -> list[str]:
    """ "Patient/1/2" for version 2 of Patient/1."""
    return [
        f"{entry['fullUrl'].partition('/fhir/')[2]}/{entry['response']['etag'][3:-1]}"
        for entry in bundle.get("entry", [])
    ]


def now() -> str:
    time.sleep(0.003)
    instant = datetime.now(UTC).isoformat(timespec="milliseconds")
    time.sleep(0.003)
    return instant


def test_instance_history_tells_how_each_version_came_about(api: Api) -> None:
    made = api.post("Patient", patient())
    path = f"Patient/{made.id}"
    api.put(path, patient(id=made.id, active=True))
    api.patch(path, [{"op": "replace", "path": "/active", "value": False}], Content_Type="application/json-patch+json")
    api.delete(path)
    api.put(path, patient(id=made.id, gender="female"))
    bundle = api.get(f"{path}/_history").json
    assert (bundle["resourceType"], bundle["type"], bundle["total"]) == ("Bundle", "history", 5)
    assert [(e["request"]["method"], e["request"]["url"], e["response"]["status"][:3]) for e in bundle["entry"]] == [
        ("PUT", path, "200"),
        ("DELETE", path, "204"),
        ("PUT", path, "200"),
        ("PUT", path, "200"),
        ("POST", "Patient", "201"),
    ]
    assert "resource" not in bundle["entry"][1]
    assert all(e["fullUrl"].endswith(f"/t/{api.slug}/fhir/{path}") for e in bundle["entry"])
    versions = [api.get(f"{path}/_history/{n}") for n in (5, 3, 2, 1)]
    assert [e["resource"] for e in bundle["entry"] if "resource" in e] == [version.json for version in versions]
    assert [e["response"]["lastModified"] for e in bundle["entry"] if "resource" in e] == [
        version.json["meta"]["lastUpdated"] for version in versions
    ]


def test_history_of_what_is_deleted_and_of_what_never_was(api: Api) -> None:
    made = api.post("Patient", patient())
    api.delete(f"Patient/{made.id}")
    assert api.get(f"Patient/{made.id}/_history").json["total"] == 2
    assert api.get("Patient/never/_history").status == 404
    assert api.get("Patient/never/_history?_since=2001-01-01").status == 404
    assert api.get(f"Patient/{made.id}/_history?_since=2099-01-01").json.get("entry") is None
    assert api.get(f"Practitioner/{made.id}/_history").status == 404


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_pages_neither_lose_nor_repeat_a_version(api: Api, size: int) -> None:
    for number in range(4):
        for version in range(4):
            api.put(f"Patient/{number}", patient(id=str(number), multipleBirthInteger=version))
    api.put("Practitioner/1", {"resourceType": "Practitioner", "id": "1"})
    instance = [name for page in pages(api, f"Patient/2/_history?_count={size}") for name in names(page)]
    assert instance == [f"Patient/2/{version}" for version in (4, 3, 2, 1)]
    of_type = [name for page in pages(api, f"Patient/_history?_count={size}") for name in names(page)]
    assert of_type == [f"Patient/{number}/{version}" for number in (3, 2, 1, 0) for version in (4, 3, 2, 1)]
    system = [name for page in pages(api, f"_history?_count={size}") for name in names(page)]
    assert system == ["Practitioner/1/1", *of_type]


def test_pages_are_stable_while_others_write(api: Api) -> None:
    for version in range(6):
        api.put("Patient/1", patient(id="1", multipleBirthInteger=version))
    seen = []
    for page in pages(api, "Patient/1/_history?_count=2"):
        seen += names(page)
        assert page["total"] == 6
        api.put("Patient/1", patient(id="1", active=True))
    assert seen == [f"Patient/1/{version}" for version in (6, 5, 4, 3, 2, 1)]


def test_since_and_at(api: Api) -> None:
    before = now()
    api.put("Patient/1", patient(id="1"))
    first = now()
    api.put("Patient/1", patient(id="1", active=True))
    second = now()
    api.delete("Patient/1")
    api.put("Patient/2", patient(id="2"))

    def found(path: str, parameter: str, instant: str) -> list[str]:
        return names(api.get(f"{path}?{parameter}={quote(instant)}").json)

    for path in ("Patient/_history", "_history"):
        assert found(path, "_since", first) == ["Patient/2/1", "Patient/1/3", "Patient/1/2"]
        assert found(path, "_at", first) == ["Patient/1/1"]
        assert found(path, "_at", second) == ["Patient/1/2"]
        assert found(path, "_at", before) == []
    assert found("Patient/1/_history", "_since", second) == ["Patient/1/3"]
    assert found("Patient/1/_history", "_at", first) == ["Patient/1/1"]
    assert "total" not in api.get(f"Patient/1/_history?_since={quote(second)}").json
    unescaped = api.get(f"Patient/1/_history?_since={first}")
    assert names(unescaped.json) == ["Patient/1/3", "Patient/1/2"]


@pytest.mark.parametrize(
    "query",
    [
        "name=x",
        "_include=Patient:x",
        "_since=yesterday",
        "_at=2021-02-30",
        "_count=many",
        "_count=-1",
        "_sort=_lastUpdated",
        "_since=2001&_since=2002",
        "_cursor=abc",
        "_list=1",
    ],
)
def test_refused_parameters(api: Api, query: str) -> None:
    api.put("Patient/1", patient(id="1"))
    for path in ("Patient/1/_history", "Patient/_history", "_history"):
        answer = api.get(f"{path}?{query}")
        assert answer.status == 400
        assert answer.json["resourceType"] == "OperationOutcome"


def test_count_zero_counts_only(api: Api) -> None:
    api.put("Patient/1", patient(id="1"))
    bundle = api.get("Patient/1/_history?_count=0").json
    assert bundle["total"] == 1
    assert "entry" not in bundle
    assert link(bundle, "next") is None


def test_cursors_belong_to_whom_they_were_given(new_api: Callable[..., Api]) -> None:
    api = new_api()
    for version in range(3):
        api.put("Patient/1", patient(id="1", multipleBirthInteger=version))
    following = link(api.get("Patient/1/_history?_count=1").json, "next")
    assert following is not None
    cursor = following.partition("?")[2]
    assert api.get(f"Patient/1/_history?{cursor}").status == 200
    assert api.get(f"Patient/_history?{cursor}").status == 400
    assert api.get(f"Patient/1/_history?{cursor}&_count=5").status == 400
    other = new_api()
    other.put("Patient/1", patient(id="1"))
    assert other.get(f"Patient/1/_history?{cursor}").status == 400
    narrow = new_api("system/Observation.rs", api.slug)
    assert narrow.get(f"Patient/1/_history?{cursor}").status == 403


def test_system_history_shows_what_the_scopes_reach(new_api: Callable[..., Api]) -> None:
    full = new_api()
    full.put("Patient/1", patient(id="1"))
    full.put("Practitioner/1", {"resourceType": "Practitioner", "id": "1"})
    api = new_api("system/Practitioner.rs", full.slug)
    assert names(api.get("_history").json) == ["Practitioner/1/1"]
    assert api.get("Patient/_history").status == 403
    assert api.get("Patient/1/_history").status == 403
    assert new_api("system/Patient.cu", full.slug).get("_history").status == 403
