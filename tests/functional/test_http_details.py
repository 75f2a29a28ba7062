"""HTTP as RFC 9110 has it: HEAD, OPTIONS, 304, lengths, encodings, text beyond ASCII.
https://www.rfc-editor.org/rfc/rfc9110"""

from __future__ import annotations

import gzip
import json

import pytest

from fhir_server.rest.routes import ROUTES, Route
from tests.factories.hostile import Answer
from tests.functional.test_hostile import FHIR, PATIENT, Attacker, attack
from tests.functional.test_isolation import paths

__all__ = ["attack"]

FORM = "application/x-www-form-urlencoded"
CHANGING = {"X-Request-Id", "Server-Timing"}


@pytest.fixture
def victim(attack: Attacker) -> Attacker:
    """A tenant with the resource that the filled-in templates of test_isolation.paths name."""
    body = json.dumps({"resourceType": "Patient", "id": "victim", "name": [{"family": "x" * 3000}]}).encode()
    assert attack("PUT", "Patient/victim", body, Content_Type=FHIR).status == 201
    return attack


@pytest.mark.parametrize("route", [r for r in ROUTES if "GET" in r.methods], ids=lambda r: r.template)
@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_head_is_get_without_its_body(victim: Attacker, route: Route, encoding: str) -> None:
    path, sent = paths(route.template), {"Accept-Encoding": encoding} if encoding else {}
    got, head = victim("GET", path, **sent), victim("HEAD", path, **sent)
    assert head.data == b""
    assert head.status == got.status
    assert {k: v for k, v in head.headers.items() if k not in CHANGING} == {
        k: v for k, v in got.headers.items() if k not in CHANGING
    }


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: r.template)
def test_options_everywhere_even_for_what_is_not_there(victim: Attacker, route: Route) -> None:
    for path in (paths(route.template), "Nonsense/1"):
        answer = victim(
            "OPTIONS", path, Origin="http://app.example", Access_Control_Request_Method="PUT", Authorization=""
        )
        assert (answer.status, answer.data) == (204, b"")
        assert "Content-Type" not in answer.headers
        assert "PATCH" in answer.headers["Access-Control-Allow-Methods"]
        assert "If-Match" in answer.headers["Access-Control-Allow-Headers"]


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: r.template)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "LINK"])
def test_methods_that_a_url_does_not_take(victim: Attacker, route: Route, method: str) -> None:
    if method in route.methods:
        return
    answer = victim(method, paths(route.template), b"{}", Content_Type=FHIR)
    assert answer.status == 405
    assert set(answer.headers["Allow"].split(", ")) - {"HEAD", "OPTIONS"} == set(route.methods)


def without_body(answer: Answer, status: int) -> None:
    assert (answer.status, answer.data) == (status, b"")
    assert not {"Content-Length", "Content-Type", "Content-Encoding"} & set(answer.headers)


def test_answers_that_have_no_body_have_no_length(victim: Attacker) -> None:
    """https://www.rfc-editor.org/rfc/rfc9110#field.content-length"""
    for method in ("GET", "HEAD"):
        for path in ("Patient/victim", "Patient/victim/_history/1"):
            without_body(victim(method, path, If_None_Match='W/"1"', Accept_Encoding="gzip"), 304)
    assert victim("GET", "Patient/victim", If_None_Match='W/"1"').headers["ETag"] == 'W/"1"'
    without_body(victim("DELETE", "Patient/victim"), 204)
    without_body(victim("DELETE", "Patient/victim"), 204)


@pytest.mark.parametrize(
    ("accepted", "zipped"),
    [("gzip", True), ("gzip;q=0", False), ("gzip; q=0.0", False), ("br, gzip;q=0.5", True), ("deflate, br", False),
    ("gzip-like", False),
     ("identity, gzip ;q=1.0", True), ("*;q=0, gzip", True), ("", False)],
)  # fmt: skip
def test_gzip_where_it_is_accepted(victim: Attacker, accepted: str, zipped: bool) -> None:
    answer = victim("GET", "Patient/victim", Accept_Encoding=accepted)
    assert ("Content-Encoding" in answer.headers) == zipped
    plain = gzip.decompress(answer.data) if zipped else answer.data
    assert json.loads(plain)["name"] == [{"family": "x" * 3000}]


def as_sent(text: str) -> str:
    """Bytes beyond ASCII that were not percent-encoded, as WSGI shows them. https://peps.python.org/pep-3333/#unicode-issues"""
    return text.encode().decode("latin-1")


@pytest.mark.parametrize("name", ["Müller", "Øvergård", "山田", "😀"])
def test_text_that_is_not_percent_encoded(attack: Attacker, name: str) -> None:
    """curl sends it so. It must not be taken for other characters: a search would find nothing, a create make two."""
    body = json.dumps({"resourceType": "Patient", "name": [{"family": name}]}).encode()
    condition = as_sent(f"family:exact={name}")
    created = attack("POST", "Patient", body, Content_Type=FHIR, If_None_Exist=condition)
    assert created.status == 201
    assert attack("POST", "Patient", body, Content_Type=FHIR, If_None_Exist=condition).status == 200
    assert attack("GET", f"Patient?{condition}").json["total"] == 1
    assert attack("POST", "Patient/_search", condition.encode("latin-1"), Content_Type=FORM).json["total"] == 1
    assert attack("PUT", f"Patient?{condition}", body, Content_Type=FHIR).status == 200
    assert attack("DELETE", f"Patient?{condition}").status == 204
    assert attack("GET", f"Patient?{condition}").json["total"] == 0
    assert attack("GET", "Patient?name=\xff").status == 400
    assert attack("DELETE", "Patient?name=\xff").status == 400
    assert attack("POST", "Patient/_search", b"name=\xff", Content_Type=FORM).status == 400
    assert attack("POST", "Patient", body, Content_Type=FHIR, If_None_Exist="name=\xff").status == 400


@pytest.mark.parametrize("prefix", ["", "?", "Patient?", "http://localhost:8080/t/x/fhir/Patient?"])
def test_a_question_mark_in_criteria_cuts_nothing_off(attack: Attacker, prefix: str) -> None:
    """Its value may be a URL; what stands before it still counts."""
    wanted = {"system": "http://example.org/a?name=F", "value": "1"}
    body = json.dumps({"resourceType": "Patient", "identifier": [wanted]}).encode()
    condition = f"identifier={wanted['system']}|{wanted['value']}"
    assert attack("DELETE", f"Patient?{condition}").status == 204
    assert attack("GET", "Patient/p").status == 200
    assert attack("POST", "Patient", body, Content_Type=FHIR, If_None_Exist=prefix + condition).status == 201
    assert attack("POST", "Patient", body, Content_Type=FHIR, If_None_Exist=prefix + condition).status == 200
    assert attack("DELETE", f"Patient?{condition}").status == 204
    assert attack("GET", f"Patient?{condition}").json["total"] == 0
    assert attack("GET", "Patient/p").json["name"] == PATIENT["name"]
