"""What a certifying tester asks of a SMART server, each test named after its number in docs/smart.md.

https://github.com/onc-healthit/onc-certification-g10-test-kit asks the same of a running server.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from fhir_server.app import FhirServer
from fhir_server.authn.people import Person
from fhir_server.r4 import definitions
from fhir_server.smart import launches
from fhir_server.store import tenants
from fhir_server.store.database_urls import DatabaseUrls
from tests.functional.conftest import Api
from tests.functional.smart_clinic import (
    ALL,
    ada,
    api,
    asymmetric,
    clinic,
    configuration,
    doctor,
    launched,
    public,
    standalone,
    walk,
)
from tests.functional.smart_flow import App, Clinic, Walk, query_of

CAPABILITIES = """launch-standalone client-public client-confidential-symmetric client-confidential-asymmetric
    sso-openid-connect context-standalone-patient permission-offline permission-patient authorize-post permission-v1
    permission-v2 launch-ehr context-banner context-style context-ehr-patient context-ehr-encounter permission-user"""

# Discovery


def test_02_the_capability_statement_is_for_everybody(clinic: Clinic) -> None:
    """`GET /metadata` without an access_token"""
    answer = clinic.app.test_client().get(clinic.url("fhir/metadata"))
    assert answer.status_code == 200
    assert (answer.json or {})["fhirVersion"] == "4.0.1"


def test_04_05_06_07_08_smart_configuration(clinic: Clinic) -> None:
    """`.well-known/smart-configuration` with endpoints, grants, PKCE by S256 alone, issuer and keys"""
    found = configuration(clinic)
    for name in (
        "authorization_endpoint", "token_endpoint", "introspection_endpoint", "revocation_endpoint", "issuer",
        "jwks_uri", "capabilities", "management_endpoint",
    ):  # fmt: skip
        assert found[name], name
    assert {"authorization_code", "client_credentials"} <= set(found["grant_types_supported"])
    assert found["code_challenge_methods_supported"] == ["S256"]


@pytest.mark.parametrize(
    "capability",
    CAPABILITIES.split(),
)
def test_09_10_capabilities(clinic: Clinic, capability: str) -> None:
    """Each capability is told"""
    assert capability in configuration(clinic)["capabilities"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "fhir/.well-known/smart-configuration"),
        ("GET", "fhir/metadata"),
        ("POST", "auth/token"),
        ("GET", "auth/.well-known/openid-configuration"),
        ("GET", "fhir/Practitioner/doctor"),
    ],
)
def test_11_browser_apps_of_other_origins(clinic: Clinic, standalone: dict[str, Any], method: str, path: str) -> None:
    """CORS, with its preflight"""
    browser = clinic.app.test_client()
    origin = {"Origin": "https://app.example.org"}
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "authorization"}
    before = browser.options(clinic.url(path), headers=origin | asked)
    assert before.status_code == 204
    assert before.headers["Access-Control-Allow-Origin"] == "*"
    assert method in before.headers["Access-Control-Allow-Methods"]
    bearer = {"Authorization": f"Bearer {standalone['access_token']}"}
    assert browser.open(clinic.url(path), method=method, headers=origin | bearer).headers[
        "Access-Control-Allow-Origin"
    ] == "*"  # fmt: skip


# Launch


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_12_authorize_by_get_and_by_post(public: App, ada: Person, walk: Walk, method: str) -> None:
    """Code and state come back"""
    told = walk.through(public, ada, ALL, method=method)
    assert told["state"] == public.state
    assert told["code"]
    assert told["iss"] == configuration(public.clinic)["issuer"]


def test_13_an_ehr_launch_says_where_and_which(clinic: Clinic) -> None:
    """The app is opened with iss and launch"""
    url = launches.address("https://app.example.org/launch", clinic.app.pages.smart.places(clinic.tenant.slug), "abc")
    assert query_of(url) == {"iss": [clinic.base], "launch": ["abc"]}


def test_14_15_the_token_response(public: App, ada: Person, walk: Walk) -> None:
    """access_token, token_type, expires_in, scope; kept by no cache"""
    answer = public.redeem(walk.through(public, ada, ALL)["code"])
    body = answer.json or {}
    assert answer.status_code == 200
    assert body["token_type"] == "Bearer"
    assert isinstance(body["expires_in"], int)
    assert body["scope"].split() == ALL.split()
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Pragma"] == "no-cache"


def test_16_the_patient_in_context_can_be_read(public: App, standalone: dict[str, Any]) -> None:
    """`patient` and GET Patient/[id]"""
    assert standalone["patient"] == "ada"
    assert public.read("Patient/ada", standalone["access_token"]).status_code == 200
    assert public.read("Patient/bob", standalone["access_token"]).status_code == 404


def test_16_the_picker_offers_the_physicians_patients(public: App, doctor: Person) -> None:
    """A person with many patients chooses one"""
    answer = public.granted(doctor, ALL, patient="bob")
    assert answer["patient"] == "bob"
    assert public.read("Patient/bob", answer["access_token"]).status_code == 200
    assert public.read("Patient/ada", answer["access_token"]).status_code == 404


def test_17_the_context_of_an_ehr_launch(clinic: Clinic, public: App, doctor: Person) -> None:
    """patient, encounter, banner, style"""
    answer = launched(clinic, public, doctor, "launch openid fhirUser user/*.rs")
    assert (answer["patient"], answer["encounter"]) == ("ada", "visit")
    assert answer["need_patient_banner"] is True
    assert public.read("Encounter/visit", answer["access_token"]).status_code == 200
    style = clinic.app.test_client().get(answer["smart_style_url"].partition("8080")[2])
    assert (style.json or {})["color_background"]


def test_18_without_an_access_token(public: App) -> None:
    """401 and an OperationOutcome"""
    answer = public.read("Patient/ada", "")
    assert answer.status_code == 401
    assert (answer.get_json(force=True))["resourceType"] == "OperationOutcome"


def test_19_fhir_context_is_well_formed(clinic: Clinic, public: App, doctor: Person) -> None:
    """What a launch brings beside patient and encounter is told as it is"""
    context = launches.context("ada") | {"fhirContext": [{"reference": "Observation/lab"}]}
    handle = launches.Launches(clinic.app.database).begin(clinic.tenant.id, doctor.id, public.client_id, context)
    answer = public.granted(doctor, "launch user/Observation.rs", launch=handle)
    assert answer["fhirContext"] == [{"reference": "Observation/lab"}]


@pytest.mark.parametrize("kind", ["none", "client_secret_basic", "RS384", "ES384"])
def test_20_every_kind_of_client(clinic: Clinic, ada: Person, kind: str) -> None:
    """Public, symmetric and asymmetric clients; each gets an id_token"""
    app = asymmetric(clinic, kind) if kind[-3:] == "384" else clinic.register(kind)
    answer = app.granted(ada, ALL)
    assert answer["id_token"]
    assert app.refresh(answer["refresh_token"]).status_code == 200


def test_20_a_secret_in_the_form_is_taken_as_well(clinic: Clinic, ada: Person, walk: Walk) -> None:
    """client_secret_post"""
    app = clinic.register("client_secret_post")
    code = walk.through(app, ada, ALL)["code"]
    secret, app.secret = app.secret, ""
    assert app.redeem(code, client_id=app.client_id, client_secret=secret).status_code == 200


def test_21_v1_scopes(public: App, ada: Person) -> None:
    """.read and .write, told as they were asked for"""
    scope = "launch/patient patient/Patient.read patient/Observation.read patient/Condition.*"
    answer = public.granted(ada, scope)
    assert {"patient/Patient.read", "patient/Observation.read"} <= set(answer["scope"].split())
    assert "patient/Condition.rs" in answer["scope"].split(), "patients do not change their conditions"
    assert public.read("Observation?patient=ada", answer["access_token"]).status_code == 200


def test_22_an_ehr_launch_with_patient_scopes(clinic: Clinic, public: App, doctor: Person) -> None:
    """launch and patient/ scopes"""
    answer = launched(clinic, public, doctor, "launch patient/Patient.rs patient/Observation.rs")
    assert answer["patient"] == "ada"
    assert public.read("Patient/ada", answer["access_token"]).status_code == 200
    assert public.read("Patient/bob", answer["access_token"]).status_code == 404


# OpenID Connect


def test_23_openid_configuration(clinic: Clinic) -> None:
    """The issuer's own document"""
    issuer = configuration(clinic)["issuer"]
    found = configuration(clinic, "auth/.well-known/openid-configuration")
    assert found["issuer"] == issuer == f"http://localhost:8080{clinic.url('auth')}"
    for name in (
        "authorization_endpoint", "token_endpoint", "jwks_uri", "response_types_supported", "subject_types_supported",
        "id_token_signing_alg_values_supported", "scopes_supported", "claims_supported",
    ):  # fmt: skip
        assert found[name], name
    assert "RS256" in found["id_token_signing_alg_values_supported"]


def _claims(clinic: Clinic, id_token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    keys = clinic.app.test_client().get(clinic.url("auth/jwks")).json
    token = jwt.decode(id_token, KeySet.import_key_set(keys), algorithms=["RS256"])
    return token.header, token.claims


def test_24_25_the_id_token(clinic: Clinic, public: App, ada: Person) -> None:
    """RS256 by a published key; iss, sub, aud, exp, iat, nonce"""
    answer = public.granted(ada, ALL, nonce="n-0S6_WzA2Mj")
    header, claims = _claims(clinic, answer["id_token"])
    assert header["alg"] == "RS256"
    assert claims["iss"] == configuration(clinic)["issuer"]
    assert claims["aud"] == public.client_id
    assert 0 < len(claims["sub"]) < 256
    assert claims["iat"] <= time.time() + 1 < claims["exp"]
    assert claims["nonce"] == "n-0S6_WzA2Mj"


@pytest.mark.parametrize("role", ["patient", "physician"])
def test_26_fhir_user_can_be_read(
    clinic: Clinic, public: App, ada: Person, doctor: Person, standalone: dict[str, Any], role: str
) -> None:
    """fhirUser is a URL of somebody, and the app may read it"""
    scope = "openid fhirUser launch/patient patient/*.rs user/Practitioner.r user/Patient.r"
    person = ada if role == "patient" else doctor
    answer = public.granted(person, scope, patient="ada")
    fhir_user = _claims(clinic, answer["id_token"])[1]["fhirUser"]
    assert fhir_user.startswith(f"{clinic.base}/")
    path = fhir_user.removeprefix(f"{clinic.base}/")
    assert path in ("Patient/ada", "Practitioner/doctor")
    assert public.read(path, answer["access_token"]).status_code == 200
