"""Every request leaves its record. docs/audit.md, "What is recorded" """

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.app import FhirServer
from fhir_server.audit import event as events
from fhir_server.audit.codes import CODES
from fhir_server.audit.event import Event
from fhir_server.audit.trail import CANNOT
from fhir_server.errors import Unavailable
from fhir_server.rest import handlers
from fhir_server.rest.auditing import KINDS, NOT_RECORDED
from fhir_server.rest.routes import ROUTES
from fhir_server.store import audit, directory
from tests.functional.conftest import Api


def records(api: Api) -> list[Event]:
    """The records of the client's tenant, oldest first."""
    api.app.trail.flush()
    tenant_id = directory.tenant_id(api.app.database, api.slug)
    assert tenant_id is not None
    return [events.decode(row.record) for row in audit.walk(api.app.database, tenant_id, 0, 10_000)]


def last(api: Api) -> Event:
    return records(api)[-1]


PATIENT = {"resourceType": "Patient", "id": "p", "name": [{"family": "Tester"}]}
BASIC = {"resourceType": "Basic", "id": "b", "code": {"text": "x"}}
BUNDLE = {
    "resourceType": "Bundle",
    "type": "transaction",
    "entry": [{"resource": BASIC, "request": {"method": "PUT", "url": "Basic/b"}}],
}


def test_each_handler_has_a_kind() -> None:
    known = {handler for route in ROUTES for handler in route.methods.values()}
    assert known <= KINDS.keys() | NOT_RECORDED
    assert {kind.name for kind in KINDS.values()} <= CODES.keys()


@pytest.mark.parametrize(
    ("method", "path", "body", "kind", "query"),
    [
        ("GET", "Patient/p", None, "read", "GET Patient/p"),
        ("HEAD", "Patient/p", None, "read", "HEAD Patient/p"),
        ("GET", "Patient/p/_history/1", None, "vread", "GET Patient/p/_history/1"),
        ("GET", "Patient?name=Test%20er", None, "search-type", "GET Patient?name=Test%20er"),
        ("POST", "Patient/_search", b"name=Tester", "search-type", "POST Patient/_search\nname=Tester"),
        ("GET", "Patient/p/Observation", None, "search-type", "GET Patient/p/Observation"),
        ("GET", "?_type=Patient", None, "search-system", "GET ?_type=Patient"),
        ("GET", "Patient/p/_history", None, "history-instance", "GET Patient/p/_history"),
        ("GET", "Patient/_history", None, "history-type", "GET Patient/_history"),
        ("GET", "_history", None, "history-system", "GET _history"),
        ("GET", "Patient/p/$everything", None, "operation", "GET Patient/p/$everything"),
        ("POST", "$graphql", {"query": "{Patient(id:p){id}}"}, "operation",
         'POST $graphql\n{"query": "{Patient(id:p){id}}"}'),
        ("POST", "", BUNDLE, "transaction", "POST "),
        ("POST", "", BUNDLE | {"type": "batch"}, "batch", "POST "),
    ],
)  # fmt: skip
def test_what_was_done_is_recorded(api: Api, method: str, path: str, body: Any, kind: str, query: str) -> None:
    api.put("Patient/p", PATIENT)
    before = len(records(api))
    content_type = "application/x-www-form-urlencoded" if isinstance(body, bytes) else "application/fhir+json"
    answer = api(method, path, body, Content_Type=content_type, X_Request_Id="r-1")
    assert answer.status == 200, answer.data
    (found,) = records(api)[before:]
    assert (found.kind, found.query, found.outcome, found.status) == (kind, query, "0", 200)
    assert (found.subject, found.client_id, found.request_id) == ("tester", "tests", "r-1")


def test_writes_are_recorded_with_their_versions(api: Api) -> None:
    created = api.post("Basic", BASIC)
    api.put("Basic/b", BASIC)
    api.put("Basic/b", BASIC)
    api.patch("Basic/b", [{"op": "replace", "path": "/code/text", "value": "y"}],
              Content_Type="application/json-patch+json")  # fmt: skip
    api.delete("Basic/b")
    found = records(api)
    assert [(e.kind, e.resource_type, e.resource_id, e.after) for e in found[:4]] == [
        ("create", "Basic", created.id, 1),
        ("update", "Basic", "b", 1),
        ("update", "Basic", "b", 2),
        ("patch", "Basic", "b", 3),
    ]
    assert (found[4].kind, found[4].resource_id) == ("delete", "b")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "Patient/none", 404), ("GET", "Patient?colour=red", 400), ("DELETE", "Patient/p", 403)],
)
def test_what_was_refused_is_recorded(new_api: Callable[..., Api], method: str, path: str, status: int) -> None:
    api = new_api("system/*.rs")
    assert api(method, path).status == status
    assert (last(api).outcome, last(api).status) == ("4", status)


def test_without_an_access_token_the_attempt_is_recorded(api: Api) -> None:
    api.access_token = "wrong"
    assert api.get("Patient/p").status == 401
    found = last(api)
    assert (found.kind, found.outcome, found.status, found.subject) == ("read", "4", 401, "")
    assert found.resource_id == "p"


def test_an_access_token_of_another_clinic_is_recorded_at_both(new_api: Callable[..., Api]) -> None:
    own, other = new_api(), new_api()
    stray = Api(own.app, other.slug, own.access_token)
    assert stray.get("Patient/p").status == 403
    asked, home = last(other), last(own)
    assert (asked.status, asked.subject, asked.client_id, asked.resource_id) == (403, "", "", "p")
    assert (home.status, home.subject, home.client_id, home.resource_id) == (403, "tester", "tests", "")


def test_what_tells_nothing_of_anybody_is_not_recorded(api: Api) -> None:
    assert api.get("metadata").status == 200
    assert api("OPTIONS", "Patient/p").status == 204
    assert api.get("Nonsense/1").status == 404
    assert records(api) == []


class Broken:
    """A trail whose disk is full."""

    def __init__(self, intents: bool) -> None:
        self._intents = intents

    def intend(self, event: Event) -> None:
        if self._intents:
            self.record(event)

    def record(self, event: Event) -> None:
        raise Unavailable(CANNOT)


@pytest.mark.parametrize("intents", [True, False])
def test_without_a_record_there_is_no_answer(
    api: Api, app: FhirServer, monkeypatch: pytest.MonkeyPatch, intents: bool
) -> None:
    api.put("Patient/p", PATIENT)
    with monkeypatch.context() as patched:
        patched.setattr(app.api._auditing, "_trail", Broken(intents))
        for answer in (
            api.get("Patient/p"),
            api.put("Patient/p", PATIENT),
            api.get("Patient"),
            Api(app, api.slug, "wrong").get("Patient/p"),
        ):
            assert answer.status == 503
            assert answer.json["issue"][0]["diagnostics"] == CANNOT
            assert b"Tester" not in answer.data
            assert "ETag" not in answer.headers
    # Without a place for its intent, a write does not even begin.
    assert api.get("Patient/p").json["meta"]["versionId"] == ("1" if intents else "2")


def test_handlers_that_are_not_recorded_are_public() -> None:
    assert {handlers.capabilities} == NOT_RECORDED
