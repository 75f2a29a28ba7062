"""Nothing about a patient and no access_token gets into logs, metrics, headers or what the server says of its failures.
https://cheatsheetseries.owasp.org/cheatsheets/Logging_Cheat_Sheet.html"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import generate_latest

from fhir_server import logs
from fhir_server.app import create_app
from fhir_server.interactions import bundle, create, delete, history, patch, read, search, update, vread
from fhir_server.r4 import json as r4_json
from fhir_server.settings import Settings
from fhir_server.store import session, wire
from tests.factories.hostile import Answer, send
from tests.functional.conftest import Api
from tests.functional.test_hostile import FHIR, JSON_PATCH

NAME, PLACE, NUMBER = "Geheimnis", "Verstecktal", "4711-0815"
ID, QUERY, SLUG = "secret-patient", "Suchwort", "rosenberg-jana"
SECRETS = (NAME, PLACE, NUMBER, ID, QUERY, SLUG)
PATIENT = {
    "resourceType": "Patient",
    "id": ID,
    "name": [{"family": NAME}],
    "address": [{"city": PLACE}],
    "identifier": [{"system": "urn:mrn", "value": NUMBER}],
}
INVALID = PATIENT | {"gender": NAME, "birthDate": PLACE, NAME: NUMBER, "active": {"a": QUERY}}
FORM = "application/x-www-form-urlencoded"


def entry(method: str, url: str, resource: Any = None, **conditions: str) -> dict[str, Any]:
    return {"request": {"method": method, "url": url, **conditions}} | ({"resource": resource} if resource else {})


def bundle_of(kind: str, *entries: dict[str, Any]) -> bytes:
    return json.dumps({"resourceType": "Bundle", "type": kind, "entry": entries}).encode()


def requests() -> list[tuple[str, str, bytes | None, dict[str, str]]]:
    """Requests of every kind, with a secret wherever a client can put one: good ones, and ones that fail."""
    good, bad, fhir = json.dumps(PATIENT).encode(), json.dumps(INVALID).encode(), {"Content-Type": FHIR}
    replace_name = json.dumps([{"op": "replace", "path": "/name/0/family", "value": NAME}]).encode()
    wrong_patch = json.dumps([{"op": "test", "path": f"/{NAME}", "value": PLACE}]).encode()
    path_patch = json.dumps(
        {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [
            {"name": "type", "valueCode": "replace"}, {"name": "path",
            "valueString": f"Patient.name.where(family='{NAME}')"},
            {"name": "value", "valueString": PLACE}]}]}
    ).encode()  # fmt: skip
    return [
        ("PUT", f"Patient/{ID}", good, fhir),
        ("POST", "Patient", good, fhir),
        ("GET", f"Patient/{ID}", None, {}),
        ("HEAD", f"Patient/{ID}", None, {}),
        ("GET", f"Patient/{ID}/_history", None, {}),
        ("GET", f"Patient/{ID}/_history/1", None, {}),
        ("GET", f"Patient/{ID}/_history/{NUMBER}", None, {}),
        ("GET", f"Patient?name={NAME}&address-city={PLACE}&identifier=urn:mrn%7C{NUMBER}", None, {}),
        ("POST", "Patient/_search", f"name={NAME}".encode(), {"Content-Type": FORM}),
        ("GET", f"Patient?{NAME}={PLACE}", None, {}),
        ("GET", f"Patient?name:{NAME}={PLACE}", None, {}),
        ("GET", f"Patient?birthdate={NAME}", None, {}),
        ("GET", f"Patient?_cursor={NAME}", None, {}),
        ("GET", f"Patient?{QUERY}=%ff", None, {}),
        ("GET", f"Patient/{NAME}{NAME}%00", None, {}),
        ("GET", f"{NAME}/{ID}", None, {}),
        ("GET", f"Patient/{ID}/${NAME}", None, {}),
        ("POST", "Patient", bad, fhir),
        ("POST", "Patient/$validate", bad, fhir),
        ("POST", "Observation", good, fhir),
        ("POST", "Patient", b'{"name":"%s' % NAME.encode(), fhir),
        ("POST", "Patient", NAME.encode(), {"Content-Type": NAME}),
        ("PUT", f"Patient/{NAME}", good, fhir),
        ("PUT", f"Patient/{ID}", good, fhir | {"If-Match": f'W/"{NUMBER}"'}),
        ("POST", "Patient", good, fhir | {"If-None-Exist": f"identifier=urn:mrn|{NUMBER}"}),
        ("POST", "Patient", good, fhir | {"If-None-Exist": f"{QUERY}={NAME}"}),
        ("PUT", f"Patient?name={NAME}", good, fhir),
        ("PATCH", f"Patient/{ID}", replace_name, {"Content-Type": JSON_PATCH}),
        ("PATCH", f"Patient/{ID}", wrong_patch, {"Content-Type": JSON_PATCH}),
        ("PATCH", f"Patient/{ID}", path_patch, fhir),
        ("POST", "", bundle_of("transaction", entry("PUT", f"Patient/{ID}", PATIENT), entry("GET",
        f"Patient?name={NAME}")), fhir),
        ("POST", "", bundle_of("transaction", entry("PUT",
        f"Patient/{NAME}", PATIENT), entry("POST", NAME, INVALID)), fhir),
        ("POST", "", bundle_of("batch", entry("POST",
        "Patient", INVALID, ifNoneExist=f"name={NAME}"), entry(NAME, PLACE)), fhir),
        ("DELETE", f"Patient?{QUERY}={NAME}", None, {}),
        ("DELETE", f"Patient/{ID}", None, {}),
        ("GET", f"Patient/{ID}", None, {}),
        (NAME, f"Patient/{ID}", None, {}),
        ("GET", f"Patient/{ID}", None, {"X-Request-Id": f"{NAME} {ID}",
        "Accept": NAME, "Prefer": NAME, "Origin": f"http://{NAME}"}),
        ("GET", f"Patient/{ID}", None, {"Authorization": f"Bearer {NAME}.{PLACE}.{NUMBER}"}),
        ("GET", f"Patient/{ID}", None, {"Authorization": f"Basic {NAME}"}),
        ("GET", f"Patient/{ID}?_format={NAME}", None, {}),
        ("POST", "Patient", b"\x1f\x8b" + NAME.encode(), fhir | {"Content-Encoding": "gzip"}),
        ("POST", "Patient", good, fhir | {"Content-Encoding": NAME}),
        ("OPTIONS", f"Patient/{ID}", None, {"Origin": f"http://{NAME}"}),
    ]  # fmt: skip


class Recorder:
    """Everything that leaves the process by another way than as the answer's body."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.lines: list[bytes] = []
        self.headers: list[str] = []

    def __call__(self, app: Any, slug: str = "") -> list[Answer]:
        """Send all requests; their answers."""
        answers = []
        for method, path, body, sent in requests():
            sent = {"Authorization": f"Bearer {self.api.access_token}"} | sent
            answer = send(app, method, f"/t/{slug or self.api.slug}/fhir/{path}", body, sent)
            answers.append(answer)
            # Where a resource is now stands in Location by FHIR's own rules.
            self.headers += [f"{name}: {value}" for name, value in answer.headers.items() if name != "Location"]
        return answers

    def check(self, *also: str) -> None:
        """Assert that nothing secret has got out, and that there was something to look at."""
        assert len(self.lines) >= len(requests())
        output = b"\n".join(self.lines).decode() + "\n".join(self.headers) + generate_latest().decode()
        for secret in (*SECRETS, *also, self.api.access_token, self.api.access_token.rpartition(".")[2]):
            assert secret.lower() not in output.lower(), secret


@pytest.fixture
def recorder(api: Api, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Recorder]:
    """Logs at their most talkative, as a process configures them, into a list; nothing on stdout and stderr besides."""
    made = Recorder(api)
    root, ours = logging.getLogger(), logging.getLogger("fhir_server")
    kept = (root.handlers[:], root.level, ours.level, sys.excepthook, threading.excepthook)
    monkeypatch.setattr(logs.output, "write", made.lines.append)
    monkeypatch.setattr(logs.output, "level", logs.output.level)
    logs.configure("debug")
    yield made
    root.handlers[:] = kept[0]
    root.setLevel(kept[1])
    ours.setLevel(kept[2])
    sys.excepthook, threading.excepthook = kept[3:]
    printed = capfd.readouterr()
    assert printed.out + printed.err == ""


def test_requests_that_succeed_and_that_fail(recorder: Recorder) -> None:
    statuses = {answer.status for answer in recorder(recorder.api.app)}
    assert statuses >= {200, 201, 204, 400, 401, 404, 405, 406, 410, 412, 415, 422}
    assert not {status for status in statuses if status >= 500}
    recorder.check()


def test_tenants_that_do_not_exist(recorder: Recorder) -> None:
    """A name that stands where the tenant's should."""
    assert {answer.status for answer in recorder(recorder.api.app, SLUG)} <= {204, 400, 401, 403, 404, 405, 406}
    recorder.check()


class Failure(Exception):
    """An exception whose message holds what no log may hold."""


@pytest.mark.parametrize("place", ["interaction", "store", "serialisation"])
def test_failures_that_nobody_foresaw(recorder: Recorder, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        try:
            raise ValueError(f"{NAME} {PLACE}")
        except ValueError as error:
            raise Failure(NAME, NUMBER, {"resource": PATIENT}) from error

    if place == "interaction":
        for module in (bundle, create, delete, history, patch, read, search, update, vread):
            monkeypatch.setattr(module, "run", fail)
    elif place == "store":
        monkeypatch.setattr(wire, "_checked", fail)
    else:
        monkeypatch.setattr(r4_json, "dumps", fail)
        monkeypatch.setattr("fhir_server.rest.outcomes.outcome", lambda issues: b"{}")
    answers = recorder(recorder.api.app)
    failed = [answer for answer in answers if answer.status == 500]
    assert failed
    for answer in failed:
        assert not any(secret.encode() in answer.data for secret in SECRETS)
    assert any(b"Failure" in line and b'"stack"' in line for line in recorder.lines)
    recorder.check()


def test_a_lost_database(recorder: Recorder, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session.time, "sleep", lambda seconds: None)
    application = create_app(settings)
    # The tenant is known by now, so that requests come as far as their statements.
    application.api._directory.find(recorder.api.slug)
    application.database.close()
    answers = recorder(application)
    failed = [answer for answer in answers if answer.status >= 500]
    assert {answer.status for answer in failed} == {503}
    assert len(failed) > 10
    for answer in failed:
        assert answer.headers["Retry-After"]
        assert not any(secret.encode() in answer.data for secret in SECRETS)
    assert b"database unavailable" in b"".join(recorder.lines)
    recorder.check()


def test_what_the_log_says_of_a_request(recorder: Recorder) -> None:
    """So that the tests above do not pass because nothing is logged."""
    recorder(recorder.api.app)
    logged = [json.loads(line) for line in recorder.lines]
    reads = [line for line in logged if line["event"] == "request" and line["route"] == "type/id"]
    assert {(line["tenant"], line["method"]) for line in reads} >= {
        (recorder.api.slug, "GET"),
        (recorder.api.slug, "PUT"),
    }
    assert all(line["microseconds"] > 0 and line["status"] and line["request_id"] for line in reads)
