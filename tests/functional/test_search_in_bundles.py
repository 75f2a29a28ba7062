"""Searches as entries of batches and transactions, and as criteria: what they find, and what scopes keep from them.

https://hl7.org/fhir/R4/http.html#transaction, https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.functional.conftest import Answer, Api

Resource = dict[str, Any]


def run(api: Api, kind: str, *requests: tuple[str, str, Resource | None]) -> Answer:
    entries = []
    for method, url, resource in requests:
        entry: Resource = {"request": {"method": method, "url": url}}
        if resource is not None:
            entry["resource"] = resource
        entries.append(entry)
    return api.post("", {"resourceType": "Bundle", "type": kind, "entry": entries})


def status(answer: Answer) -> str:
    """The status of the first entry, or of the whole where it failed."""
    whole = answer.json
    return str(whole["entry"][0]["response"]["status"][:3] if whole["resourceType"] == "Bundle" else answer.status)


def found(answer: Answer, number: int = 0) -> list[str]:
    """``Type/id`` of what a search in a bundle answered."""
    assert answer.status == 200, answer.data
    entry = answer.json["entry"][number]
    assert entry["response"]["status"].startswith("200"), entry
    inner = entry["resource"].get("entry", [])
    return sorted(
        f"{one['resource']['resourceType']}/{one['resource']['id']}"
        for one in inner
        if one["search"]["mode"] != "outcome"
    )


@pytest.fixture
def filled(api: Api) -> Api:
    for resource in [
        {"resourceType": "Patient", "id": "p", "name": [{"family": "Ann"}], "identifier": [{"value": "1"}]},
        {"resourceType": "Patient", "id": "q"},
        {
            "resourceType": "Observation",
            "id": "o",
            "status": "final",
            "code": {"text": "x"},
            "subject": {"reference": "Patient/p"},
        },
        {"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/p"}},
        {"resourceType": "Condition", "id": "d", "subject": {"reference": "Patient/q"}},
    ]:
        assert api.put(f"{resource['resourceType']}/{resource['id']}", resource).status == 201
    return api


SEARCHES: list[tuple[str, list[str]]] = [
    ("?_type=Patient,Condition&_id=p,c", ["Condition/c", "Patient/p"]),
    ("?_lastUpdated=gt2000", ["Condition/c", "Condition/d", "Observation/o", "Patient/p", "Patient/q"]),
    ("Patient/p/Condition", ["Condition/c"]),
    ("Patient/p/Condition?_id=c,d", ["Condition/c"]),
    ("Patient/p/*?_type=Condition,Observation", ["Condition/c", "Observation/o"]),
    ("Condition?subject:Patient.name=ann", ["Condition/c"]),
    ("Patient?_has:Observation:subject:status=final", ["Patient/p"]),
    ("Observation?_include=Observation:subject", ["Observation/o", "Patient/p"]),
]


@pytest.mark.parametrize("kind", ["batch", "transaction"])
@pytest.mark.parametrize(("url", "expected"), SEARCHES)
def test_an_entry_finds_what_a_request_finds(filled: Api, kind: str, url: str, expected: list[str]) -> None:
    answer = run(filled, kind, ("GET", url, None))
    assert found(answer) == expected
    alone = filled.get(url)
    assert alone.status == 200
    assert {one["fullUrl"] for one in alone.json["entry"]} == {
        one["fullUrl"] for one in answer.json["entry"][0]["resource"]["entry"]
    }
    head = run(filled, kind, ("HEAD", url, None))
    assert "resource" not in head.json["entry"][0]


@pytest.mark.parametrize("kind", ["batch", "transaction"])
@pytest.mark.parametrize(
    ("method", "url", "expected"),
    [
        ("GET", "Practitioner/p/Patient/1/2", "404"),
        ("GET", "Patient/p/Nonsense", "404"),
        ("GET", "Organization/p/Patient", "404"),
        ("GET", "Patient/p/ValueSet", "404"),
        ("POST", "Patient/p/Condition", "405"),
        ("DELETE", "?_type=Patient", "405"),
        ("DELETE", "Patient/p/Condition?_id=c", "405"),
        ("GET", "?", "200"),
        ("GET", "?_type=Patient,Nonsense", "400"),
        ("GET", "Patient/p/*?_type=ValueSet", "400"),
        ("GET", "?_type=Patient&nmae=x", "400"),
    ],
)  # fmt: skip
def test_an_entry_that_is_no_search(filled: Api, kind: str, method: str, url: str, expected: str) -> None:
    body = {"resourceType": "Condition", "subject": {"reference": "Patient/p"}} if method == "POST" else None
    answer = run(filled, kind, (method, url, body))
    assert status(answer) == expected, answer.data
    assert filled.get("Condition/c").status == 200


@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_scopes_hold_inside_of_bundles(filled: Api, new_api: Callable[..., Api], kind: str) -> None:
    narrow = new_api("system/Patient.cruds system/Condition.s", filled.slug)
    everything = "?_type=Patient,Condition,Observation&_lastUpdated=gt2000"
    allowed = [(everything, ["Condition/c", "Condition/d", "Patient/p", "Patient/q"]),
               ("Patient/p/*", ["Condition/c"]), ("Patient/p/Condition", ["Condition/c"]),
               ("Condition?subject:Patient.name=ann", ["Condition/c"]),
               ("Patient?_id=p&_revinclude=*", ["Condition/c", "Patient/p"])]  # fmt: skip
    for url, expected in allowed:
        assert found(run(narrow, kind, ("GET", url, None))) == expected, url
        alone = (one["fullUrl"] for one in narrow.get(url).json["entry"] if "fullUrl" in one)
        assert sorted(one.partition("/fhir/")[2] for one in alone) == expected
    for url in [
        "Patient/p/Observation",
        "Observation?_id=o",
        "Patient?_has:Observation:subject:status=final",
        "Condition?encounter:Encounter.status=planned",
        "Patient?_filter=_has:Observation:subject:status eq final",
    ]:
        answer = run(narrow, kind, ("GET", url, None))
        assert status(answer) == "403", (url, answer.data)
        assert b"Observation/o" not in answer.data
        assert narrow.get(url).status == 403


def criteria_requests(api: Api, criteria: str) -> list[Answer]:
    """The conditional interactions with the same criteria, alone and in a transaction."""
    fresh = {"resourceType": "Patient", "name": [{"family": "Fresh"}]}
    entry = {"resource": fresh, "request": {"method": "POST", "url": "Patient", "ifNoneExist": criteria}}
    return [
        api.put(f"Patient?{criteria}", fresh),
        api.post("Patient", fresh, If_None_Exist=criteria),
        api.post("", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}),
        api("DELETE", f"Patient?{criteria}"),
    ]


@pytest.mark.parametrize(
    "criteria", ["_has:Observation:subject:status=final", "_filter=_has:Observation:subject:status eq final"]
)
def test_criteria_with_chains_need_what_the_chain_passes(
    filled: Api, new_api: Callable[..., Api], criteria: str
) -> None:
    """Whether there is a match must not tell what the caller may not search."""
    narrow = new_api("system/Patient.cruds", filled.slug)
    assert [answer.status for answer in criteria_requests(narrow, criteria)] == [403, 403, 403, 403]
    assert filled.get("Patient?_summary=count").json["total"] == 2
    assert [answer.status for answer in criteria_requests(filled, criteria)][:3] == [200, 200, 200]


def test_criteria_with_chains_find_the_match(filled: Api) -> None:
    condition = {"resourceType": "Condition", "subject": {"reference": "Patient/p"}, "code": {"text": "changed"}}
    answer = filled.put("Condition?subject:Patient.name=ann", condition)
    assert (answer.status, answer.json["id"]) == (200, "c")
    again = filled.post("Condition", condition, If_None_Exist="subject:Patient.identifier=1")
    assert (again.status, again.json["id"]) == (200, "c")
    assert filled.delete("Condition?subject:Patient.name=ann").status in (200, 204)
    assert filled.get("Condition/c").status == 410
