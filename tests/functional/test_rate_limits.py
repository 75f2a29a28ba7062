"""Nobody keeps the others waiting, over HTTP. https://www.rfc-editor.org/rfc/rfc6585#section-4"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fhir_server.app import FhirServer
from fhir_server.authn import clinic_settings, keys
from fhir_server.authn.access_token import issue
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
