"""Search as clients send it: URLs, forms, headers, links followed to the end."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from tests.functional.conftest import Answer, Api

FORM = "application/x-www-form-urlencoded"


def fill(api: Api, many: int = 5) -> None:
    for number in range(many):
        family = "O'Brien, Ältere" if number % 2 else "Smith"
        answer = api.put(
            f"Patient/p{number}", {"resourceType": "Patient", "id": f"p{number}", "name": [{"family": family}]}
        )
        assert answer.status == 201


def ids(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.data
    return [e["resource"]["id"] for e in answer.json.get("entry", []) if e["search"]["mode"] == "match"]


def form(api: Api, path: str, *pairs: tuple[str, str], **headers: str) -> Answer:
    return api.post(path, urlencode(pairs).encode(), Content_Type=FORM, **headers)


def link(answer: Answer, relation: str) -> str | None:
    return next((one["url"] for one in answer.json["link"] if one["relation"] == relation), None)


def below_base(api: Api, url: str) -> str:
    before, _, path = url.partition(f"/t/{api.slug}/fhir/")
    assert path, url
    assert before.startswith("http")
    return path


def test_what_was_written_is_found_at_once(api: Api) -> None:
    created = api.post("Patient", {"resourceType": "Patient", "name": [{"family": "Unique"}]})
    assert ids(api.get("Patient?family=unique")) == [created.id]
    api.put(f"Patient/{created.id}", {"resourceType": "Patient", "id": created.id, "name": [{"family": "Other"}]})
    assert ids(api.get("Patient?family=unique")) == []
    assert ids(api.get("Patient?family=other")) == [created.id]
    api.delete(f"Patient/{created.id}")
    assert ids(api.get("Patient?family=other")) == []


@pytest.mark.parametrize(
    "query",
    [
        "family=O%27Brien%5C%2C%20%C3%84ltere",
        "family=O'Brien%5C,+%C3%84ltere",
        "family=o%27brien",
        "family:exact=O%27Brien%5C%2C%20%C3%84ltere",
        "family=nobody,O%27Brien",
        "family=O%27B&name=obrien,o%27brien",
        "&family=O%27Brien&",
        "fam%69ly=O%27Brien",
    ],
)
def test_percent_encoding_and_escapes(api: Api, query: str) -> None:
    fill(api)
    assert sorted(ids(api.get(f"Patient?{query}"))) == ["p1", "p3"]


def test_a_search_by_post_takes_the_form_and_the_url_together(api: Api) -> None:
    fill(api)
    assert sorted(ids(form(api, "Patient/_search", ("family", "o'brien")))) == ["p1", "p3"]
    assert ids(form(api, "Patient/_search?_id=p1,p2", ("family", "o'brien"))) == ["p1"]
    assert len(ids(form(api, "Patient/_search"))) == 5
    assert len(ids(api.post("Patient/_search?family=smith"))) == 3
    refused = form(api, "Patient/_search", ("famly", "x"))
    assert (refused.status, refused.json["resourceType"]) == (400, "OperationOutcome")


def test_pages_after_a_search_by_post_are_fetched_by_get_and_show_no_names(api: Api) -> None:
    fill(api)
    page = form(api, "Patient/_search", ("family", "Smith"), ("_count", "1"))
    found = ids(page)
    while url := link(page, "next"):
        assert "mith" not in url
        page = api.get(below_base(api, url))
        found += ids(page)
    assert sorted(found) == ["p0", "p2", "p4"]


def test_an_unknown_parameter_is_refused_or_on_request_left_out(api: Api) -> None:
    fill(api, 1)
    refused = api.get("Patient?famly=smith")
    assert refused.status == 400
    (issue,) = refused.json["issue"]
    assert (issue["severity"], issue["code"]) == ("error", "not-supported")
    assert "Did you mean 'family'?" in issue["diagnostics"]
    lenient = api.get("Patient?famly=smith&_count=3", Prefer="handling=lenient")
    assert ids(lenient) == ["p0"]
    assert lenient.json["entry"][1]["search"]["mode"] == "outcome"
    assert (link(lenient, "self") or "").endswith("/Patient?_count=3")
    assert api.get("Patient?famly=smith", Prefer="handling=strict").status == 400


@pytest.mark.parametrize(
    "query",
    [
        "_count=x", "_sort=nmae", "birthdate=yesterday", "birthdate=2021-02-30", "name=", "_summary=maybe",
        "_elements=nam", "_cursor=x", "_cursor=", "_include=Patient:name", "general-practitioner.nmae=x",
        "name=%00", "name=%ff", "_has:Observation:patient:cod=1", "organization=Practitioner/1",
        "organization:Patient=1", "_query=x",
        "_total=all", "_lastUpdated=2020-01-01T00:00:00+99:00", "identifier=a%7Cb%7Cc", "active=perhaps",
        "_id=%20", "_sort=,", "=x", "x",
        "name:missing=maybe", "_count=1&_count=2", "_summary=text&_elements=name", "_id:not=1",
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_400(api: Api, query: str) -> None:
    answer = api.get(f"Patient?{query}")
    assert answer.status == 400, answer.data
    assert answer.json["resourceType"] == "OperationOutcome"
    assert answer.json["issue"][0]["diagnostics"]


@pytest.mark.parametrize(
    "query",
    [
        "name=" + "x" * 3_000, "_id=" + ",".join("a" for _ in range(900)), "identifier=" + "%7C", "birthdate=0001",
        "birthdate=gt9999-12-31", "birthdate=lt0001-01-01", "birthdate=ap2020", "_lastUpdated=ap1900",
        "_lastUpdated=gt9999",
        "name=%F0%9F%98%80", "name:contains=%25%5C%5C_", "name=%5C", "phone=%2B49", "_source=urn:x", "_profile=http://x%7C1",
        "_count=99999999999999999999", "_count=0", "address=%CC%88a",
    ],
)  # fmt: skip
def test_strange_values_are_no_trouble(api: Api, query: str) -> None:
    answer = api.get(f"Patient?{query}")
    assert answer.status in (200, 400), answer.data
    assert answer.json["resourceType"] in ("Bundle", "OperationOutcome")


def test_head_and_timing(api: Api) -> None:
    fill(api, 1)
    answer = api.get("Patient")
    assert answer.headers["Content-Type"].startswith("application/fhir+json")
    assert {"compile", "sql", "serialise"} <= {
        part.partition(";")[0].strip() for part in answer.headers["Server-Timing"].split(",")
    }
    head = api("HEAD", "Patient")
    assert (head.status, head.data) == (200, b"")


def test_a_search_needs_the_scope_to_search(new_api: object) -> None:
    for scope, status in (("system/Patient.s", 200), ("system/Patient.r", 403), ("system/Observation.s", 403)):
        api = new_api(scope)  # type: ignore[operator]
        for answer in (api.get("Patient"), form(api, "Patient/_search", ("name", "x"))):
            assert (answer.status, scope) == (status, scope)
