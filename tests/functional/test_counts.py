"""Executives count, and learn nothing of anybody. docs/access.md"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.authn import keys
from fhir_server.authn.access_token import issue
from fhir_server.settings import Settings
from tests.functional.conftest import Api


@pytest.fixture(scope="module")
def executive(settings: Settings, app: Any, module_api: Api) -> Api:
    """Somebody who counts, in a clinic with 25 women and 4 men."""
    entries = [
        {
            "resource": {
                "resourceType": "Patient", "id": f"p{n}", "gender": "female" if n < 25 else "male",
                "birthDate": f"19{50 + n}-03-04", "name": [{"family": f"Family{n}"}],
            },
            "request": {"method": "PUT", "url": f"Patient/p{n}"},
        }
        for n in range(29)
    ]  # fmt: skip
    assert module_api.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries}).status == 200
    token = issue(
        keys.load_or_create(settings.key_file), issuer=settings.issuer, sub="boss", client_id="portal",
        tenant=module_api.slug, scope="user/*.cruds", lifetime=600, roles=["executive"],
    )  # fmt: skip
    return Api(app, module_api.slug, token)


@pytest.mark.parametrize(
    ("query", "total"),
    [
        ("_summary=count", 20),
        ("gender=female&_summary=count", 20),
        ("gender:not=male&_summary=count", 20),
        ("gender=male&_summary=count", None),
        ("gender=unknown&_summary=count", None),
        ("birthdate=lt1960&_summary=count", None),
        ("birthdate=ge1951&_summary=count", 20),
    ],
)
def test_totals_are_in_tens_and_few_are_not_told(executive: Api, query: str, total: int | None) -> None:
    answer = executive.get(f"Patient?{query}")
    assert answer.status == 200, answer.data
    assert answer.json.get("total") == total
    assert [entry["resource"]["resourceType"] for entry in answer.json["entry"]] == ["OperationOutcome"]
    assert b"Family" not in answer.data


@pytest.mark.parametrize(
    "query",
    [
        "",
        "gender=female",
        "_total=accurate&_count=0",
        "family=Family3&_summary=count",
        "name:exact=Family3&_summary=count",
        "_id=p3&_summary=count",
        "identifier=x&_summary=count",
        "birthdate=1953-03-04&_summary=count",
        "birthdate=1953-03&_summary=count",
        "general-practitioner=Practitioner/1&_summary=count",
        "organization.name=x&_summary=count",
        "_has:Observation:patient:code=x&_summary=count",
        "_filter=family%20eq%20Family3&_summary=count",
        "address-postalcode=85001&_summary=count",
        "_text=Family3&_summary=count",
        "gender=female&_summary=count&_total=estimate",
        "gender=female&_summary=count&_include=Patient:organization",
    ],
)
def test_nothing_that_tells_of_one_person(executive: Api, query: str) -> None:
    answer = executive.get(f"Patient?{query}")
    assert answer.status == 403, answer.data
    assert b"Family3" not in answer.data.replace(b"family=Family3", b"")


@pytest.mark.parametrize("path", ["Patient/p1", "Patient/p1/_history", "Patient/_history", "Patient/p1/$everything"])
def test_nothing_else_is_let_through(executive: Api, path: str) -> None:
    assert executive.get(path).status in (403, 404)


def test_in_a_batch_neither(executive: Api) -> None:
    entries = [
        {"request": {"method": "GET", "url": f"Patient?{q}"}} for q in ("family=Family3", "_summary=count&_id=p1")
    ]
    answer = executive.post("", {"resourceType": "Bundle", "type": "batch", "entry": entries})
    assert b'"total"' not in answer.data
    assert b"p1" not in answer.data.replace(b"_id=p1", b"")
