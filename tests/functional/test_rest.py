"""The RESTful interactions over the wire. https://hl7.org/fhir/R4/http.html"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable

import pytest
from werkzeug.test import Client

from fhir_server.rest.routes import ROUTES
from tests.functional.conftest import Answer, Api

PATIENT = {"resourceType": "Patient", "active": True, "name": [{"family": "Example", "given": ["Ada"]}]}


def outcome(answer: Answer) -> dict[str, str]:
    """The first issue of an OperationOutcome."""
    assert answer.headers["Content-Type"].startswith("application/fhir+json")
    assert answer.json["resourceType"] == "OperationOutcome"
    issue: dict[str, str] = answer.json["issue"][0]
    return issue


def test_create_answers_with_where_the_resource_is(api: Api) -> None:
    created = api.post("Patient", PATIENT | {"id": "chosen-by-the-client"})
    assert created.status == 201
    assert re.fullmatch(
        rf"http://localhost:8080/t/{api.slug}/fhir/Patient/[0-9a-f-]{{36}}/_history/1", created.headers["Location"]
    )
    assert created.headers["ETag"] == 'W/"1"'
    assert created.headers["Last-Modified"].endswith("GMT")
    assert created.json["id"] == created.id != "chosen-by-the-client"
    assert list(created.json)[:3] == ["resourceType", "id", "meta"]
    assert created.json["meta"]["versionId"] == "1"


def test_read_gives_back_what_create_answered(api: Api) -> None:
    created = api.post("Patient", PATIENT)
    read = api.get(f"Patient/{created.id}")
    assert read.status == 200
    assert read.json == created.json
    assert read.headers["ETag"] == created.headers["ETag"]
    assert read.headers["Last-Modified"] == created.headers["Last-Modified"]


def test_each_update_is_a_version_that_stays_readable(api: Api) -> None:
    resource_id = api.post("Patient", PATIENT).id
    for version in range(2, 5):
        updated = api.put(f"Patient/{resource_id}", PATIENT | {"id": resource_id, "active": version % 2 == 0})
        assert (updated.status, updated.json["meta"]["versionId"]) == (200, str(version))
    for version, active in ((1, True), (2, True), (3, False), (4, True)):
        read = api.get(f"Patient/{resource_id}/_history/{version}")
        assert (read.status, read.json["active"], read.headers["ETag"]) == (200, active, f'W/"{version}"')
    assert api.get(f"Patient/{resource_id}/_history/5").status == 404
    assert api.get(f"Patient/{resource_id}/_history/x").status == 404


def test_update_creates_under_the_clients_id(api: Api) -> None:
    created = api.put("Patient/my-id.1", PATIENT | {"id": "my-id.1"})
    assert (created.status, created.id) == (201, "my-id.1")
    assert api.get("Patient/my-id.1").json["id"] == "my-id.1"


def test_update_wants_the_id_of_the_url_in_the_body(api: Api) -> None:
    for body in (PATIENT, PATIENT | {"id": "other"}):
        refused = api.put("Patient/mine", body)
        assert refused.status == 400
        assert outcome(refused)["expression"] == ["id"]


def test_delete_leaves_a_trace(api: Api) -> None:
    resource_id = api.post("Patient", PATIENT).id
    assert api.delete(f"Patient/{resource_id}").status == 204
    gone = api.get(f"Patient/{resource_id}")
    assert (gone.status, gone.headers["ETag"], outcome(gone)["code"]) == (410, 'W/"2"', "deleted")
    assert api.get(f"Patient/{resource_id}/_history/1").status == 200
    assert api.get(f"Patient/{resource_id}/_history/2").status == 410
    assert api.delete(f"Patient/{resource_id}").status == 204
    assert api.delete("Patient/never-there").status == 204


def test_an_update_brings_a_deleted_resource_back(api: Api) -> None:
    resource_id = api.post("Patient", PATIENT).id
    api.delete(f"Patient/{resource_id}")
    back = api.put(f"Patient/{resource_id}", PATIENT | {"id": resource_id})
    assert (back.status, back.headers["ETag"]) == (201, 'W/"3"')
    assert api.get(f"Patient/{resource_id}").status == 200


def test_if_match_lets_only_the_current_version_through(api: Api) -> None:
    resource_id = api.post("Patient", PATIENT).id
    body = PATIENT | {"id": resource_id}
    assert api.put(f"Patient/{resource_id}", body, If_Match='W/"1"').status == 200
    stale = api.put(f"Patient/{resource_id}", body, If_Match='W/"1"')
    assert stale.status == 412
    assert "version 2" in outcome(stale)["diagnostics"]
    assert api.put("Patient/none-such", body | {"id": "none-such"}, If_Match='W/"1"').status == 412
    assert api.put(f"Patient/{resource_id}", body, If_Match="*").status == 200
    assert api.put("Patient/none-such", body | {"id": "none-such"}, If_Match="*").status == 412
    assert api.put(f"Patient/{resource_id}", body, If_Match='"a", "b"').status == 400
    assert api.put(f"Patient/{resource_id}", body, If_None_Match="*").status == 412
    assert api.delete(f"Patient/{resource_id}", If_Match='W/"1"').status == 412
    assert api.delete(f"Patient/{resource_id}", If_Match='W/"3"').status == 204


def test_conditional_read(api: Api) -> None:
    created = api.post("Patient", PATIENT)
    path = f"Patient/{created.id}"
    unchanged = api.get(path, If_None_Match='W/"1"')
    assert (unchanged.status, unchanged.data) == (304, b"")
    assert api.get(path, If_None_Match='W/"7"').status == 200
    assert api.get(path, If_Modified_Since=created.headers["Last-Modified"]).status == 304
    assert api.get(path, If_Modified_Since="Thu, 01 Jan 1970 00:00:00 GMT").status == 200
    assert api.get(path, If_Modified_Since="no date").status == 200


@pytest.mark.parametrize(
    ("prefer", "body"),
    [("return=minimal", ""), ("return=OperationOutcome", "OperationOutcome"), ("return=representation", "Patient")],
)
def test_prefer_return(api: Api, prefer: str, body: str) -> None:
    created = api.post("Patient", PATIENT, Prefer=prefer)
    assert created.status == 201
    assert (created.json["resourceType"] if created.data else "") == body
    assert created.headers["Location"]


def test_head_is_a_get_without_its_body(api: Api) -> None:
    path = f"Patient/{api.post('Patient', PATIENT).id}"
    get, head = api.get(path), api("HEAD", path)
    assert (head.status, head.data) == (200, b"")
    for name in ("ETag", "Last-Modified", "Content-Type", "Content-Length"):
        assert head.headers[name] == get.headers[name]


def test_other_origins_may_call(api: Api) -> None:
    answer = api.get("metadata", Origin="https://app.example.org")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
    preflight = api("OPTIONS", "Patient", Origin="https://app.example.org", Access_Control_Request_Method="PATCH")
    assert preflight.status == 204
    assert "PATCH" in preflight.headers["Access-Control-Allow-Methods"]
    assert "If-Match" in preflight.headers["Access-Control-Allow-Headers"]


def test_gzip_both_ways(api: Api) -> None:
    resource = PATIENT | {"name": [{"family": "Example", "given": [f"Given{n}" for n in range(200)]}]}
    created = api.post("Patient", gzip.compress(json.dumps(resource).encode()), Content_Encoding="gzip")
    assert created.status == 201
    packed = api.get(f"Patient/{created.id}", Accept_Encoding="gzip, deflate")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == api.get(f"Patient/{created.id}").data


@pytest.mark.parametrize("accept", ["application/fhir+json", "application/json", "*/*", "text/html, */*;q=0.1", ""])
def test_json_is_acceptable(api: Api, accept: str) -> None:
    assert api.get("metadata", Accept=accept).status == 200


def test_presentation(api: Api) -> None:
    path = f"Patient/{api.post('Patient', PATIENT).id}"
    assert b'\n  "resourceType": "Patient"' in api.get(f"{path}?_pretty=true").data
    assert api.get(f"{path}?_format=json").status == 200
    assert api.get(f"{path}?_format=application/fhir%2Bjson").status == 200
    part = api.get(f"{path}?_elements=active").json
    assert part["active"] is True
    assert "name" not in part
    assert part["meta"]["tag"][0]["code"] == "SUBSETTED"
    assert "name" in api.get(f"{path}?_summary=true").json


def test_errors_are_for_people_too_where_they_are_asked_to_be(api: Api) -> None:
    begun = b'{\n  "resourceType": "OperationOutcome",\n'
    for path in (
        "Patient/none?_pretty=true",
        "Patient?_pretty=true&nonsense=1",
        "Nothing?_pretty=true",
        "?%zz&_pretty=true",
        "Patient?name=%ff&_pretty=true",
    ):
        answer = api.get(path, Prefer="handling=strict")
        assert (answer.status >= 400, answer.data[: len(begun)]) == (True, begun), path
    assert api.get("Patient/none?x_pretty=true").data.startswith(b'{"resourceType"')
    assert api.get("Patient/none").data.startswith(b'{"resourceType"')


def test_request_ids_go_in_and_out(api: Api) -> None:
    assert api.get("metadata", X_Request_Id="abc-1").headers["X-Request-Id"] == "abc-1"
    made = api.get("metadata", X_Request_Id="<script>").headers["X-Request-Id"]
    assert re.fullmatch("[0-9a-f]{24}", made)


def test_server_timing_names_the_phases(api: Api) -> None:
    created = api.post("Patient", PATIENT)
    assert re.findall(r"(\w+);dur=", created.headers["Server-Timing"]) == [
        "authenticate",
        "parse",
        "decide",
        "validate",
        "index",
        "sql",
        "serialise",
    ]


def test_patients_data_is_not_cached_on_the_way(api: Api) -> None:
    assert api.post("Patient", PATIENT).headers["Cache-Control"] == "no-store"


REFUSALS: list[tuple[str, Callable[[Api], Answer], int, str]] = [
    ("not json", lambda a: a.post("Patient", b"{"), 400, "structure"),
    ("no body", lambda a: a.post("Patient", b""), 400, "structure"),
    ("not utf-8", lambda a: a.post("Patient", b'{"resourceType":"\xff"}'), 400, "structure"),
    ("an array", lambda a: a.post("Patient", b"[]"), 400, "structure"),
    ("another type", lambda a: a.post("Patient", {"resourceType": "Observation"}), 400, "invalid"),
    ("no type", lambda a: a.post("Patient", {}), 400, "invalid"),
    ("invalid", lambda a: a.post("Patient", PATIENT | {"birthDate": "2021-02-30"}), 422, "value"),
    ("unknown type", lambda a: a.get("Patinet/1"), 404, "not-supported"),
    ("unknown url", lambda a: a.get("Patient/1/2/3/4"), 404, "not-supported"),
    ("unknown operation", lambda a: a.get("Patient/$nothing"), 404, "not-supported"),
    ("unknown resource", lambda a: a.get("Patient/1"), 404, "not-found"),
    ("method", lambda a: a("DELETE", "metadata"), 405, "not-supported"),
    ("strange method", lambda a: a("BREW", "Patient"), 405, "not-supported"),
    ("xml", lambda a: a.get("metadata", Accept="application/fhir+xml"), 406, "not-supported"),
    ("xml by format", lambda a: a.get("metadata?_format=xml"), 406, "not-supported"),
    ("media type", lambda a: a.post("Patient", b"<x/>", Content_Type="application/fhir+xml"), 415, "not-supported"),
    ("encoding", lambda a: a.post("Patient", b"{}", Content_Encoding="br"), 415, "not-supported"),
    ("broken gzip", lambda a: a.post("Patient", b"\x1f\x8bnot gzip", Content_Encoding="gzip"), 400, "invalid"),
    ("cut gzip", lambda a: a.post("Patient", gzip.compress(b"{}" * 99)[:-9], Content_Encoding="gzip"), 400, "invalid"),
    ("bomb", lambda a: a.post("Patient", gzip.compress(b" " * 3_000_000), Content_Encoding="gzip"), 413, "too-long"),
    ("large", lambda a: a.post("Patient", b" " * 2_000_001), 413, "too-long"),
    ("deep", lambda a: a.post("Patient", b'{"a":' * 5000 + b"1" + b"}" * 5000), 400, "structure"),
    ("long url", lambda a: a.get("Patient?name=" + "x" * 20_000), 414, "too-long"),
    ("bad escape", lambda a: a.get("Patient?name=%ff"), 400, "invalid"),
    ("criteria of a create in the URL", lambda a: a.post("Patient?identifier=x", PATIENT), 400, "invalid"),
    ("criteria at an id", lambda a: a.put("Patient/1?identifier=x", PATIENT), 400, "invalid"),
    ("parameters of a delete", lambda a: a.delete("Patient/1?_cascade=true"), 400, "invalid"),
    ("unknown read parameter", lambda a: a.get("Patient/1?name=x"), 400, "invalid"),
]


@pytest.mark.parametrize(("send", "status", "code"), [r[1:] for r in REFUSALS], ids=[r[0] for r in REFUSALS])
def test_refusals(api: Api, send: Callable[[Api], Answer], status: int, code: str) -> None:
    answer = send(api)
    issue = outcome(answer)
    assert (answer.status, issue["code"], issue["severity"]) == (status, code, "error")
    assert issue["diagnostics"]
    assert "Traceback" not in answer.data.decode()


def test_a_refused_method_says_what_is_allowed(api: Api) -> None:
    assert api("DELETE", "metadata").headers["Allow"] == "GET, HEAD, OPTIONS"


def test_without_an_access_token_nothing_but_metadata(api: Api) -> None:
    nobody = Api(api.app, api.slug, "")
    for route in ROUTES:
        path = route.template.replace("type", "Patient").replace("vid", "1").replace("$operation", "$validate")
        for method in route.methods:
            answer = nobody(method, path, PATIENT if method in ("POST", "PUT", "PATCH") else None)
            if route.template == "metadata":
                assert answer.status == 200
                continue
            assert (answer.status, outcome(answer)["code"]) == (401, "login"), (method, path)
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_an_expired_or_strange_access_token_is_refused(api: Api, access_token: Callable[..., str]) -> None:
    for text in (access_token(api.slug, lifetime=-5), api.access_token + "x", "x.y.z", "x" * 10_000, "\u00e9"):
        answer = Api(api.app, api.slug, text).get("Patient/1")
        assert answer.status == 401
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_probes(api: Api) -> None:
    client = Client(api.app)
    assert client.get("/healthz").text == "ok\n"
    assert client.get("/readyz").text == "ready\n"
    api.get("metadata")
    assert 'fhir_requests_total{method="GET",route="metadata",status="200"}' in client.get("/metrics").text


@pytest.mark.parametrize("path", ["/fhir/Patient", "/t/x//fhir/Patient", "/t/riverside", "/nothing", "/"])
def test_a_mistaken_base_url_is_answered_in_fhir_too(api: Api, path: str) -> None:
    answer = Client(api.app).get(path)
    assert answer.status_code == 404
    assert answer.content_type.startswith("application/fhir+json")
    assert answer.json is not None
    assert "/t/TENANT/fhir" in answer.json["issue"][0]["diagnostics"]


def test_a_method_that_a_probe_does_not_take(api: Api) -> None:
    answer = Client(api.app).post("/healthz")
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]
    assert answer.json is not None
    assert answer.json["resourceType"] == "OperationOutcome"
