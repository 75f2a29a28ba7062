"""Bundles for tests, and what is answered to them. https://hl7.org/fhir/R4/http.html#transaction"""

from __future__ import annotations

import uuid
from typing import Any

from tests.functional.conftest import Answer, Api

Json = dict[str, Any]


def urn() -> str:
    return f"urn:uuid:{uuid.uuid4()}"


def patient(**elements: Any) -> Json:
    return {"resourceType": "Patient", **elements}


def identified(value: str, **elements: Any) -> Json:
    return patient(identifier=[{"system": "urn:oid:1.2.3", "value": value}], **elements)


def observation(subject: str, **elements: Any) -> Json:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "weight"},
        "subject": {"reference": subject},
        **elements,
    }


def entry(method: str, url: str, resource: Json | None = None, full_url: str = "", **request: str) -> Json:
    made: Json = {"request": {"method": method, "url": url, **request}}
    if full_url:
        made["fullUrl"] = full_url
    if resource is not None:
        made["resource"] = resource
    return made


def post(resource: Json, full_url: str = "", **request: str) -> Json:
    return entry("POST", resource["resourceType"], resource, full_url, **request)


def put(resource: Json, full_url: str = "", **request: str) -> Json:
    return entry("PUT", f"{resource['resourceType']}/{resource['id']}", resource, full_url, **request)


def transaction(*entries: Json) -> Json:
    return {"resourceType": "Bundle", "type": "transaction", **({"entry": list(entries)} if entries else {})}


def batch(*entries: Json) -> Json:
    return transaction(*entries) | {"type": "batch"}


def done(answer: Answer, kind: str = "transaction-response") -> list[Json]:
    assert answer.status == 200, answer.data
    assert answer.json["resourceType"] == "Bundle"
    assert answer.json["type"] == kind
    entries: list[Json] = answer.json.get("entry", [])
    return entries


def statuses(answer: Answer, kind: str = "transaction-response") -> list[str]:
    return [entry["response"]["status"][:3] for entry in done(answer, kind)]


def path(made: Json) -> str:
    """ "Patient/1" from the location of an entry's response."""
    location: str = made["response"]["location"]
    return location.partition("/_history/")[0]


def failed(answer: Answer, status: int) -> list[Json]:
    assert answer.status == status, answer.data
    assert answer.json["resourceType"] == "OperationOutcome"
    issues: list[Json] = answer.json["issue"]
    return issues


def where(issues: list[Json]) -> list[str]:
    return [issue["expression"][0] for issue in issues]


def count(api: Api, query: str) -> int:
    total: int = api.get(f"{query}&_summary=count").json["total"]
    return total
