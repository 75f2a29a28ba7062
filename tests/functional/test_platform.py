"""The interface of those who run the platform. docs/platform.md"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import psycopg
import pyotp
import pytest
from werkzeug.test import TestResponse

from fhir_server.app import FhirServer
from fhir_server.audit import event as events
from fhir_server.authn.limits import Limiter
from fhir_server.authn.people import PLATFORM, PLATFORM_ROLE, People, Person
from fhir_server.platform import tenants
from fhir_server.platform.guard import OPEN
from fhir_server.store import audit
from fhir_server.store.database_urls import DatabaseUrls
from tests.functional.conftest import Api
from tests.functional.smart_flow import QUICK
from tests.functional.test_audit import records

API = "/platform/api"
SECRET = "correct horse battery staple eleven"


class Operator:
    """Somebody of the platform with a session."""

    def __init__(self, app: FhirServer, bearer: str = "") -> None:
        self.app = app
        self.bearer = bearer

    def __call__(self, method: str, path: str, body: Any = None) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.bearer}"} if self.bearer else {}
        return self.app.test_client().open(f"{API}/{path}", method=method, json=body, headers=headers)

    def sign_in(self, person: Person, code: str = "", password: str = SECRET) -> TestResponse:
        given = {"username": person.username, "password": password, "code": code}
        answer = self("POST", "sessions", given)
        if answer.status_code == 201:
            self.bearer = answer.json["access_token"]
        return answer


def added(app: FhirServer, **more: Any) -> Person:
    given = {"username": f"op-{uuid.uuid4().hex[:10]}", "roles": [PLATFORM_ROLE], "password": SECRET} | more
    return People(app.database, QUICK).create(PLATFORM, **given)


@pytest.fixture
def person(app: FhirServer) -> Iterator[Person]:
    made = added(app)
    yield made
    People(app.database, QUICK).change(PLATFORM, made.id, disabled=True)


def enrolled(operator: Operator) -> pyotp.TOTP:
    """The session's person sets up an authenticator app."""
    begun = operator("POST", "second-factors").json
    totp = pyotp.TOTP(begun["secret"])
    answer = operator("POST", f"second-factors/{begun['id']}/confirmation", {"code": totp.now()})
    assert answer.status_code == 201, answer.text
    operator.bearer = answer.json["access_token"]
    return totp


@pytest.fixture
def operator(app: FhirServer, person: Person) -> Operator:
    """Somebody with a complete session."""
    made = Operator(app)
    assert made.sign_in(person).json["needs"] == ["second-factor"]
    enrolled(made)
    return made


def requests(app: FhirServer) -> Iterator[tuple[str, str, str]]:
    """Every rule of the interface: endpoint, method, URL."""
    known = {"slug": "riverside", "factor_id": "x"}
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/platform"):
            _, path = rule.build({name: known[name] for name in rule.arguments}) or ("", "")
            for method in sorted((rule.methods or set()) - {"OPTIONS", "HEAD"}):
                yield rule.endpoint, method, path


@pytest.mark.parametrize("who", ["nobody", "forged", "a clinic's", "ended", "password only", "disabled", "lesser role"])
def test_every_route_demands_a_complete_session(
    app: FhirServer, api: Api, person: Person, operator: Operator, who: str
) -> None:
    bearers = {"nobody": "", "forged": "A" * 43, "a clinic's": api.access_token, "ended": operator.bearer}
    bearer = bearers.get(who, operator.bearer)
    if who == "ended":
        assert operator("DELETE", "sessions/current").status_code == 204
    elif who == "disabled":
        People(app.database, QUICK).change(PLATFORM, person.id, disabled=True)
    elif who == "password only":
        other = Operator(app)
        other.sign_in(added(app))
        bearer = other.bearer
    elif who == "lesser role":
        app.database.transaction(
            PLATFORM, lambda c: c.execute("UPDATE person SET roles = '{}' WHERE id = %s", [person.id])
        )
    asked = 0
    for endpoint, method, path in requests(app):
        if endpoint in OPEN or not endpoint.startswith("platform."):
            continue
        if who == "password only" and endpoint == "platform.sign_out":
            continue
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        answer = app.test_client().open(path, method=method, json={}, headers=headers)
        limited = {"change_password", "begin_second_factor", "confirm_second_factor"}
        if who == "password only":
            if endpoint.partition(".")[2] not in limited:
                assert answer.status_code == 403, path
        else:
            assert answer.status_code == 401, f"{method} {path}: {answer.status_code}"
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        asked += 1
    assert asked >= 11
    assert {endpoint for endpoint, _, _ in requests(app) if not endpoint.startswith("platform.")} == {
        "api-docs.openapi_json"
    }


def test_signing_in_takes_the_password_and_a_code_that_was_not_used(app: FhirServer, person: Person) -> None:
    who = Operator(app)
    who.sign_in(person)
    totp = enrolled(who)
    later = pyotp.TOTP(totp.secret).at(int(time.time()) + 30)
    for code, password in (("", SECRET), (totp.now(), SECRET), ("000000", SECRET), (later, "wrong" * 4)):
        answer = Operator(app).sign_in(person, code, password)
        assert answer.status_code == 401, (code, answer.text)
        assert answer.json["message"].startswith("That is not right")
    assert Operator(app).sign_in(person, later).json["needs"] == []
    stranger = Person("x", PLATFORM, "nobody-of-this-name", "x", ())
    assert Operator(app).sign_in(stranger).json["message"].startswith("That is not right")


def test_a_password_that_was_given_has_to_be_changed_first(app: FhirServer) -> None:
    made = added(app, must_change_password=True)
    who = Operator(app)
    assert who.sign_in(made).json["needs"] == ["password", "second-factor"]
    assert who("GET", "tenants").status_code == 403
    assert who("POST", "second-factors").status_code == 403
    assert who("PUT", "password", {"current": SECRET, "new": "password1234"}).status_code == 400
    assert who("PUT", "password", {"current": "wrong" * 4, "new": "x" * 20}).status_code == 401
    chosen = "four unrelated otters juggling 91"
    assert who("PUT", "password", {"current": SECRET, "new": chosen}).status_code == 204
    assert who("GET", "tenants").status_code == 401
    assert who.sign_in(made, password=chosen).json["needs"] == ["second-factor"]
    enrolled(who)
    assert who("GET", "tenants").status_code == 200
    second = Operator(app, who.bearer)
    assert second("POST", "second-factors").status_code == 201


def test_who_has_an_app_sets_up_another_only_with_it(app: FhirServer, person: Person) -> None:
    first, second = Operator(app), Operator(app)
    first.sign_in(person)
    second.sign_in(person)
    enrolled(first)
    assert second("POST", "second-factors").status_code == 403


def test_tenants(operator: Operator, app: FhirServer) -> None:
    slug = f"new-{uuid.uuid4().hex[:8]}"
    made = operator("POST", "tenants", {"slug": slug, "name": "Newly \u00e9 <b>"})
    assert made.status_code == 201, made.text
    assert made.json["base"].endswith(f"/t/{slug}/fhir")
    assert operator("POST", "tenants", {"slug": slug}).status_code == 409
    assert app.test_client().get(f"/t/{slug}/fhir/metadata").status_code == 200
    changed = operator("PATCH", f"tenants/{slug}", {"searchTimeoutMs": 1500})
    assert (changed.json["name"], changed.json["searchTimeoutMs"]) == ("Newly \u00e9 <b>", 1500)
    changed = operator("PATCH", f"tenants/{slug}", {"searchTimeoutMs": None, "name": "Other"})
    assert operator("GET", f"tenants/{slug}").json == changed.json
    assert changed.json["searchTimeoutMs"] is None
    assert changed.json in operator("GET", "tenants").json
    for path in (
        "tenants/nosuch",
        "tenants/nosuch/people",
        "tenants/NO%00/people",
        "tenants/nosuch/audit/verification",
    ):
        assert operator("GET", path).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "tenants", {"slug": "Not a label"}),
        ("POST", "tenants", {"slug": "ok\n"}),
        ("POST", "tenants", {"slug": "ok", "unknown": 1}),
        ("POST", "tenants", {"slug": "ok", "name": "a\0b"}),
        ("POST", "tenants", {"slug": "ok", "name": "x" * 201}),
        ("PATCH", "tenants/{}", {"searchTimeoutMs": 0}),
        ("PATCH", "tenants/{}", {"searchTimeoutMs": "1000"}),
        ("PATCH", "tenants/{}", {"name": ""}),
        ("POST", "tenants/{}/access-tokens", {"reason": "because I have to", "minutes": 61}),
        ("POST", "tenants/{}/access-tokens", {"reason": "short", "minutes": 5}),
        ("POST", "tenants/{}/access-tokens", {"minutes": 5}),
    ],
)
def test_what_cannot_be_is_refused(operator: Operator, api: Api, method: str, path: str, body: Any) -> None:
    answer = operator(method, path.format(api.slug), body)
    assert answer.status_code in (400, 422), answer.text
    assert answer.json["code"] == answer.status_code


def test_looking_into_a_clinic_is_for_a_reason_that_the_clinic_reads(
    operator: Operator, person: Person, api: Api, app: FhirServer
) -> None:
    api.put("Patient/p", {"resourceType": "Patient", "id": "p"})
    reason = "Ticket 77: searches are slow"
    answer = operator("POST", f"tenants/{api.slug}/access-tokens", {"reason": reason, "minutes": 5})
    assert (answer.status_code, answer.json["expires_in"]) == (201, 300)
    looking = Api(app, api.slug, answer.json["access_token"])
    assert looking.get("Patient/p").status == 200
    assert looking.put("Patient/p", {"resourceType": "Patient", "id": "p"}).status == 403
    assert looking.delete("Patient/p").status == 403
    issued = [one for one in records(api) if one.kind == "token"]
    assert [(one.subject, one.reason, one.roles) for one in issued] == [(person.id, reason, (PLATFORM_ROLE,))]
    seen = next(one for one in records(api) if one.kind == "read")
    assert (seen.subject, seen.roles) == (person.id, (PLATFORM_ROLE,))
    # And it is over when they are no longer of the platform.
    People(app.database, QUICK).change(PLATFORM, person.id, disabled=True)
    assert looking.get("Patient/p").status == 401


def test_what_is_asked_is_in_the_platforms_trail(operator: Operator, person: Person, api: Api) -> None:
    assert operator("GET", f"tenants/{api.slug}/people").json == []
    assert [one["id"] for one in operator("GET", "people").json if one["id"] == person.id] == [person.id]
    verified = operator("GET", f"tenants/{api.slug}/audit/verification").json
    assert (verified["problem"], verified["complete"]) == ("", True)
    clinics = [one.query for one in records(api) if one.kind == "platform"]
    assert f"GET {API}/tenants/{api.slug}/people" in clinics
    platforms = [one for one in platform_records(api) if one.subject == person.id]
    assert {"login", "people", "platform"} <= {one.kind for one in platforms}
    assert SECRET not in str(platforms)


def test_a_trail_is_verified_some_records_at_a_time(
    operator: Operator, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tenants, "MOST_RECORDS", 4)
    for number in range(10):
        api.get(f"Basic/{number}")
    operator.app.trail.flush()
    path = f"tenants/{api.slug}/audit/verification"
    newest = operator("GET", path).json
    assert (newest["records"], newest["complete"], newest["problem"]) == (4, True, "")
    head, seen = "0", []
    while True:
        found = operator("GET", f"{path}?head={head}").json
        assert found["problem"] == ""
        seen.append(found["records"])
        head = found["head"]
        if found["complete"]:
            break
    assert seen[:2] == [4, 4]
    assert sum(seen) == int(head.partition(":")[0]) >= newest["after"] + 4
    assert "removed" in operator("GET", f"{path}?head=9999999:{'0' * 64}").json["problem"]
    assert "not the one" in operator("GET", f"{path}?head=2:{'0' * 64}").json["problem"]
    for wrong in ("x", "1", "1:zz", "%00", "1:" + "0" * 200):
        assert operator("GET", f"{path}?head={wrong}").status_code in (400, 422)
    assert operator("GET", f"{path}?since=2026").status_code in (400, 422)


def test_whoever_guesses_too_often_is_refused_at_the_door(app: FhirServer) -> None:
    limited = FhirServer(replace(app.settings, address_limit=2), app.database, app.api, app.trail, app.pages, Limiter())
    answers = [Operator(limited)("POST", "sessions", {}) for _ in range(6)]
    assert {one.status_code for one in answers} == {422, 429}
    assert all("Retry-After" in one.headers for one in answers if one.status_code == 429)


def test_without_a_record_nothing_is_done_or_told(
    operator: Operator, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(operator.app.trail, "_spool", SimpleNamespace(append=full))
    slug = f"never-{uuid.uuid4().hex[:8]}"
    wanted = {"reason": "because I have to", "minutes": 5}
    for method, path, body in (
        ("POST", "tenants", {"slug": slug}),
        ("POST", f"tenants/{api.slug}/access-tokens", wanted),
        ("GET", "tenants", None),
    ):
        answer = operator(method, path, body)
        assert answer.status_code == 503
        assert "access_token" not in answer.text
        assert api.slug not in answer.text
    monkeypatch.undo()
    assert operator("GET", f"tenants/{slug}").status_code == 404


def platform_records(api: Api) -> list[Any]:
    api.app.trail.flush()
    return [events.decode(row.record) for row in audit.walk(api.app.database, PLATFORM, 0, 100_000)]


def test_the_document_describes_every_route(app: FhirServer) -> None:
    client = app.test_client()
    answer = client.get(f"{API}/openapi.json")
    assert answer.status_code == 200
    assert answer.json["openapi"] == "3.1.0"
    known = answer.json["components"]
    for name in re.findall(r'"\$ref": *"#/components/([^"]+)"', answer.text):
        kind, _, of = name.partition("/")
        assert of in known[kind], name
    described = {
        (method.upper(), path)
        for path, methods in answer.json["paths"].items()
        for method in methods
        if method != "parameters"
    }
    routed = {
        (method, rule.rule.replace("<", "{").replace(">", "}"))
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("platform.")
        for method in (rule.methods or set()) - {"OPTIONS", "HEAD"}
    }
    assert described == routed
    page = client.get(f"{API}/docs")
    assert page.status_code == 200
    assert "<script" not in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert all(path in page.text for _, path in described)


def test_fhir_app_may_not_write_to_tenants_otherwise(database: DatabaseUrls) -> None:
    with psycopg.connect(database.app, autocommit=True) as connection:
        for statement in ("UPDATE tenant SET name = 'x'", "INSERT INTO tenant (slug, name) VALUES ('x', 'x')"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
        for call in ("fhir_create_tenant('Bad slug', 'x')", "fhir_change_tenant('x', '', 1)"):
            with pytest.raises(psycopg.errors.CheckViolation):
                connection.execute(f"SELECT {call}".encode())
        # A table of the caller's own is not taken for the real one.
        connection.execute("CREATE TEMPORARY TABLE tenant (id serial, slug text UNIQUE, name text)")
        slug = f"real-{uuid.uuid4().hex[:8]}"
        connection.execute("SELECT fhir_create_tenant(%s, 'x')", [slug])
        assert connection.execute("SELECT slug FROM pg_temp.tenant").fetchall() == []
        assert connection.execute("SELECT slug FROM public.tenant WHERE slug = %s", [slug]).fetchall() == [(slug,)]
