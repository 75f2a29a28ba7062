"""Nobody keeps the others waiting, over HTTP. https://www.rfc-editor.org/rfc/rfc6585#section-4"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from werkzeug.test import Client, TestResponse

from fhir_server.app import FhirServer
from fhir_server.authn import clinic_settings, keys
from fhir_server.authn.access_token import issue
from fhir_server.authn.limits import Limiter
from fhir_server.store.tenants import Tenant
from tests.functional.conftest import Api


@pytest.fixture
def clinic(app: FhirServer, tenant: Tenant, access_token: Callable[..., str]) -> Callable[..., Api]:
    """A function that gives the tenant settings, before anybody has asked it anything."""

    def make(**changes: object) -> Api:
        clinic_settings.write(app.database, tenant.id, changes)
        return Api(app, tenant.slug, access_token(tenant.slug))

    return make


def test_a_clinic_takes_so_many_requests_a_second_of_all_its_clients(clinic: Callable[..., Api], api: Api) -> None:
    limited = clinic(rate_limit=3)
    answers = [limited.get("Patient/none") for _ in range(12)]
    refused = [one for one in answers if one.status == 429]
    assert {one.status for one in answers} == {404, 429}
    assert len(refused) >= 4
    for one in refused:
        assert one.headers["Retry-After"] == "1"
        assert one.json["issue"][0]["code"] == "throttled"
    # What the server is and can do is told to anybody, and other clinics do not wait.
    assert limited.get("metadata").status == 200
    assert api.get("Patient/none").status == 404


def test_a_clinic_without_a_limit_has_none(clinic: Callable[..., Api]) -> None:
    unlimited = clinic(rate_limit=0)
    assert {unlimited.get("Patient/none").status for _ in range(30)} == {404}


def test_what_a_clinic_has_taken_from_a_role_is_gone(
    app: FhirServer, tenant: Tenant, clinic: Callable[..., Api]
) -> None:
    clinic(narrowed={"clinic_admin": ["*:Observation:search"]})
    token = issue(
        keys.load_or_create(app.settings.key_file),
        issuer=app.settings.issuer,
        sub="somebody",
        client_id="tests",
        tenant=tenant.slug,
        scope="user/*.cruds",
        lifetime=60,
        roles=["clinic_admin"],
        fhir_user="Practitioner/1",
    )
    admin = Api(app, tenant.slug, token)
    assert admin.get("Observation").status == 403
    assert admin.get("Condition").status == 200


@pytest.fixture
def doors(app: FhirServer, tenant: Tenant) -> Callable[..., TestResponse]:
    """A function that posts to a path of the tenant from an address, at a server that takes four a minute."""
    limited = FhirServer(replace(app.settings, address_limit=4), app.database, app.api, app.trail, app.pages, Limiter())

    def post(path: str, address: str, method: str = "POST") -> TestResponse:
        return Client(limited).open(
            f"/t/{tenant.slug}/{path}",
            method=method,
            environ_overrides={"REMOTE_ADDR": address},
            headers={"Origin": "https://app.example.org"},
        )

    return post


@pytest.mark.parametrize("path", ["auth/token", "auth/register", "auth/introspect", "auth/revoke", "sign-in"])
def test_an_address_may_knock_so_often_a_minute(doors: Callable[..., TestResponse], path: str) -> None:
    statuses = [doors(path, "198.51.100.1").status_code for _ in range(6)]
    assert 429 not in statuses[:4]
    assert statuses[4:] == [429, 429]
    refused = doors(path, "198.51.100.1")
    assert refused.headers["Retry-After"] == "15"
    assert "wait 15 s" in refused.text
    assert doors(path, "198.51.100.2").status_code != 429
    if path.startswith("auth/"):
        assert refused.get_json()["error"] == "temporarily_unavailable"
        assert refused.headers["Access-Control-Allow-Origin"] == "*"


def test_reading_is_not_counted_but_where_it_keeps_something(doors: Callable[..., TestResponse]) -> None:
    for path in ("auth/jwks", "sign-in", "style.json"):
        assert {doors(path, "198.51.100.3", "GET").status_code for _ in range(6)} == {200}
    statuses = [doors("auth/authorize", "198.51.100.3", "GET").status_code for _ in range(6)]
    assert statuses[3] != 429
    assert statuses[4:] == [429, 429]


def test_an_address_of_ipv6_is_its_network(doors: Callable[..., TestResponse]) -> None:
    statuses = [doors("auth/token", f"2001:4860:0:1::{number}").status_code for number in range(5)]
    assert statuses[4] == 429
    assert doors("auth/token", "2001:4860:0:2::1").status_code != 429
