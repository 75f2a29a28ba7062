"""A clinic for the tests of a certifying tester: two patients, a physician, their records, and an app. docs/smart.md"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from fhir_server.app import FhirServer
from fhir_server.authn.people import Person
from fhir_server.smart import launches
from fhir_server.store import tenants
from fhir_server.store.database_urls import DatabaseUrls
from tests.functional.conftest import Api
from tests.functional.smart_flow import App, Clinic, Walk

CATEGORY = "http://terminology.hl7.org/CodeSystem"
US_CORE = "http://hl7.org/fhir/us/core/CodeSystem"
CONDITION, OBSERVATION = f"{CATEGORY}/condition-category", f"{CATEGORY}/observation-category"
ALL = "openid fhirUser offline_access launch/patient patient/*.rs"

CONDITIONS = {
    "visit": (CONDITION, "encounter-diagnosis"),
    "concern": (f"{US_CORE}/condition-category", "health-concern"),
    "problem": (CONDITION, "problem-list-item"),
}
OBSERVATIONS = {
    "lab": (OBSERVATION, "laboratory"),
    "smoking": (OBSERVATION, "social-history"),
    "weight": (OBSERVATION, "vital-signs"),
    "survey": (OBSERVATION, "survey"),
    "housing": (f"{US_CORE}/us-core-category", "sdoh"),
}


@pytest.fixture(scope="module")
def clinic(app: FhirServer, database: DatabaseUrls) -> Iterator[Clinic]:
    """A clinic with two patients, a physician of one of them, and their records."""
    assert database.owner is not None
    with psycopg.connect(database.owner, autocommit=True) as owner:
        tenant = tenants.create(owner, f"acceptance-{uuid.uuid4().hex[:8]}")
    made = Clinic(app, tenant)
    made.settings(second_factor=False)
    return made


@pytest.fixture(scope="module")
def api(clinic: Clinic, access_token: Any) -> Api:
    """Somebody who may write everything; the records that the tests look for."""

    def put(kind: str, resource_id: str, **body: Any) -> None:
        answer = admin.put(f"{kind}/{resource_id}", {"resourceType": kind, "id": resource_id} | body)
        assert answer.status == 201, answer.data

    admin = Api(clinic.app, clinic.tenant.slug, access_token(clinic.tenant.slug))
    put("Practitioner", "doctor", name=[{"family": "Okafor", "given": ["Amara"]}])
    for name in ("ada", "bob"):
        put(
            "Patient", name, name=[{"family": name.title(), "given": [name]}], gender="unknown", birthDate="1980-05-31",
            generalPractitioner=[{"reference": "Practitioner/doctor"}],
        )  # fmt: skip
    subject = {"reference": "Patient/ada"}
    put(
        "Encounter", "visit", status="finished", subject=subject,
        **{"class": {"system": f"{CATEGORY}/v3-ActCode", "code": "AMB"}},
    )  # fmt: skip
    for name, (system, code) in CONDITIONS.items():
        put("Condition", name, subject=subject, category=[{"coding": [{"system": system, "code": code}]}])
    for name, (system, code) in OBSERVATIONS.items():
        put(
            "Observation", name, status="final", subject=subject, code={"text": name},
            category=[{"coding": [{"system": system, "code": code}]}],
        )  # fmt: skip
    return admin


@pytest.fixture(scope="module")
def doctor(clinic: Clinic, api: Api) -> Person:
    return clinic.person("physician", "Practitioner/doctor")


@pytest.fixture(scope="module")
def ada(clinic: Clinic, api: Api) -> Person:
    return clinic.person("patient", "Patient/ada")


@pytest.fixture(scope="module")
def public(clinic: Clinic) -> App:
    return clinic.register("none")


@pytest.fixture(scope="module")
def standalone(public: App, ada: Person) -> dict[str, Any]:
    """The answer of a standalone launch in which everything was allowed."""
    return public.granted(ada, ALL)


@pytest.fixture
def walk(clinic: Clinic) -> Walk:
    return Walk(clinic.app.test_client(), clinic)


def launched(clinic: Clinic, app: App, person: Person, scope: str, encounter: str = "visit") -> dict[str, Any]:
    """An EHR launch to its end."""
    context = launches.context("ada", encounter)
    handle = launches.Launches(clinic.app.database).begin(clinic.tenant.id, person.id, app.client_id, context)
    return app.granted(person, scope, launch=handle)


def configuration(clinic: Clinic, path: str = "fhir/.well-known/smart-configuration") -> dict[str, Any]:
    answer = clinic.app.test_client().get(clinic.url(path), headers={"Accept": "application/json"})
    assert answer.status_code == 200
    assert answer.mimetype == "application/json"
    document: dict[str, Any] = answer.json or {}
    return document


def asymmetric(clinic: Clinic, algorithm: str, **metadata: Any) -> App:
    key: RSAKey | ECKey = (
        RSAKey.generate_key(2048, auto_kid=True) if algorithm[0] == "R" else ECKey.generate_key("P-384", auto_kid=True)
    )
    app = clinic.register("private_key_jwt", jwks={"keys": [key.as_dict(private=False)]}, **metadata)
    audience = configuration(clinic)["token_endpoint"]

    def assertion(**changes: Any) -> str:
        now = int(time.time())
        claims = {
            "iss": app.client_id, "sub": app.client_id, "aud": audience, "exp": now + 240, "jti": uuid.uuid4().hex,
        } | changes  # fmt: skip
        return jwt.encode({"alg": algorithm, "kid": key.kid, "typ": "JWT"}, claims, key, algorithms=[algorithm])

    app.assertion = assertion
    return app
