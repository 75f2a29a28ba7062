"""The CapabilityStatement claims nothing that is not shown here. https://hl7.org/fhir/R4/capabilitystatement.html"""

from __future__ import annotations

import json
from typing import Any

import pytest

from fhir_server.r4 import definitions
from fhir_server.validation.issues import issues
from tests.factories.minimal_resources import minimal
from tests.functional.conftest import Api, access_token, api, app, module_api, new_api, settings  # noqa: F401

TYPES = definitions.load().resource_types
VALUES = {
    "string": "x", "token": "true", "reference": "x", "date": "2020-01-01", "uri": "urn:x",
    "number": "1", "quantity": "1|http://unitsofmeasure.org|mg",
}  # fmt: skip


@pytest.fixture(scope="module")
def statement(module_api: Api) -> dict[str, Any]:  # noqa: F811
    """The statement of a tenant's base; it is large, and says the same to everyone with full access."""
    found: dict[str, Any] = module_api.get("metadata").json
    return found


def claims(statement: dict[str, Any], resource_type: str) -> dict[str, Any]:
    """What the statement says about one type."""
    return next(r for r in statement["rest"][0]["resource"] if r["type"] == resource_type)


def test_the_statement_is_valid_and_complete(module_api: Api, statement: dict[str, Any]) -> None:  # noqa: F811
    assert [i for i in issues(statement) if i.severity in ("fatal", "error")] == []
    assert [r["type"] for r in statement["rest"][0]["resource"]] == list(TYPES)
    assert len(TYPES) == 146
    assert statement["implementation"]["url"] == f"http://localhost:8080/t/{module_api.slug}/fhir"


@pytest.mark.parametrize("resource_type", TYPES)
def test_every_interaction_of_every_type(api: Api, statement: dict[str, Any], resource_type: str) -> None:  # noqa: F811
    """What is claimed is done, one claim after the other, on the smallest resource of the type."""
    claimed = claims(statement, resource_type)
    interactions = {i["code"] for i in claimed["interaction"]}
    body = minimal(resource_type)
    done = set()

    created = api.post(resource_type, body)
    assert created.status == 201, created.json
    place = f"{resource_type}/{created.id}"
    done.add("create")
    read = api.get(place)
    assert read.status == 200
    assert {k: v for k, v in read.json.items() if k not in ("id", "meta")} == json.loads(json.dumps(body))
    done.add("read")
    assert api.put(place, read.json | {"language": "en"}).json["meta"]["versionId"] == "2"
    done.add("update")
    patch = [{"op": "replace", "path": "/language", "value": "de"}]
    assert api.patch(place, patch, Content_Type="application/json-patch+json").json["language"] == "de"
    done.add("patch")
    assert api.get(f"{place}/_history/2").json["language"] == "en"
    done.add("vread")
    found = api.get(f"{resource_type}?_id={created.id}").json
    assert [e["resource"]["id"] for e in found["entry"]] == [created.id]
    done.add("search-type")
    assert api.delete(place).status == 204
    done.add("delete")
    history = api.get(f"{place}/_history").json
    assert [e["request"]["method"] for e in history["entry"]] == ["DELETE", "PUT", "PUT", "POST"]
    done.add("history-instance")
    assert len(api.get(f"{resource_type}/_history").json["entry"]) == 4
    done.add("history-type")
    assert done == interactions

    assert claimed["updateCreate"] is True
    assert api.put(f"{resource_type}/mine", body | {"id": "mine"}).status == 201
    assert claimed["conditionalRead"] == "full-support"
    assert api.get(f"{resource_type}/mine", If_None_Match='W/"1"').status == 304
    assert claimed["conditionalCreate"] is True
    assert api.post(resource_type, body, If_None_Exist="_id=mine").status == 200
    assert claimed["conditionalUpdate"] is True
    assert api.put(f"{resource_type}?_id=mine", body | {"id": "mine"}).status == 200
    assert claimed["conditionalDelete"] == "single"
    assert api.delete(f"{resource_type}?_id=mine").status == 204
    own = {
        "Patient": {
            "everything",
            "accounting-of-disclosures",
            "assign",
            "assignments",
            "unassign",
            # break-glass is for physicians: the statement is of what its reader can do.
        },
        "Encounter": {"everything"},
        "Observation": {"lastn"},
        "SearchParameter": {"status"},
    }.get(resource_type, set())
    assert {o["name"] for o in claimed["operation"]} == {"explain", "graphql", "lineage", "validate", "reindex"} | own
    assert api.post(f"{resource_type}/$validate", body).json["issue"][0]["severity"] == "information"


@pytest.mark.parametrize("resource_type", TYPES)
def test_every_search_parameter_can_be_used(api: Api, statement: dict[str, Any], resource_type: str) -> None:  # noqa: F811
    for claimed in claims(statement, resource_type)["searchParam"]:
        name, kind = claimed["name"], claimed["type"]
        value = {"_id": "x", "_lastUpdated": "gt2020-01-01"}.get(name) or VALUES.get(kind)
        queries = [f"{name}={value}"] if value else []
        if name not in ("_id", "_lastUpdated", "_text", "_content") and resource_type != "AuditEvent":
            queries.append(f"{name}:missing=false")
        for query in queries:
            answer = api.get(f"{resource_type}?{query}")
            assert answer.status == 200, (query, answer.json)
            # The audit trail has recorded the requests before.
            assert "entry" not in answer.json or resource_type == "AuditEvent"


def test_system_interactions(api: Api, statement: dict[str, Any]) -> None:  # noqa: F811
    assert {i["code"] for i in statement["rest"][0]["interaction"]} == {
        "transaction", "batch", "history-system", "search-system",
    }  # fmt: skip
    entry = {"resource": minimal("Basic"), "request": {"method": "POST", "url": "Basic"}}
    for kind in ("transaction", "batch"):
        answer = api.post("", {"resourceType": "Bundle", "type": kind, "entry": [entry]})
        assert (answer.status, answer.json["type"]) == (200, f"{kind}-response")
        assert answer.json["entry"][0]["response"]["status"].startswith("201")
    assert len(api.get("_history").json["entry"]) == 2
