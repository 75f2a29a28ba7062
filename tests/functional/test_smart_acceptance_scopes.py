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
    CONDITIONS,
    OBSERVATIONS,
    ada,
    api,
    asymmetric,
    clinic,
    configuration,
    doctor,
    public,
    standalone,
    walk,
)
from tests.functional.smart_flow import App, Clinic, Walk, query_of

# Refresh, revocation, refusals


def test_27_refreshing(public: App, ada: Person) -> None:
    """With and without scope"""
    first = public.granted(ada, ALL)
    second = public.refresh(first["refresh_token"]).json or {}
    assert second["scope"] == first["scope"]
    assert second["patient"] == "ada"
    third = public.refresh(second["refresh_token"], scope="patient/Patient.rs").json or {}
    assert third["scope"] == "patient/Patient.rs"
    assert public.read("Patient/ada", third["access_token"]).status_code == 200
    assert public.read("Observation?patient=ada", third["access_token"]).status_code == 403


def test_28_a_refresh_token_that_is_none(public: App) -> None:
    """400"""
    answer = public.refresh("nonsense")
    assert (answer.status_code, (answer.json or {})["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("aud", ["https://elsewhere.example.org/fhir", None, "", "http://localhost:8080/t/other/fhir"])
def test_29_a_wrong_audience(public: App, walk: Walk, aud: str | None) -> None:
    """No code is issued"""
    walk.open(public.clinic.url("auth/authorize"), **public.parameters(ALL, aud=aud))
    told = walk.left()
    assert "code" not in told
    assert told["error"] == "invalid_request"
    assert "aud" in told["error_description"]


def test_30_a_code_that_is_none_and_a_client_that_is_none(public: App, ada: Person, walk: Walk) -> None:
    """400 and 401"""
    assert public.redeem("nonsense").status_code == 400
    code = walk.through(public, ada, ALL)["code"]
    assert public.redeem(code, client_id="nonsense").status_code in (400, 401)
    assert public.redeem(code).status_code == 200


@pytest.mark.parametrize("wrong", [None, "", "a" * 43, "challenge"])
def test_31_the_code_verifier(public: App, ada: Person, walk: Walk, wrong: str | None) -> None:
    """Absent, blank, wrong, or equal to the challenge"""
    code = walk.through(public, ada, ALL)["code"]
    challenge = public.parameters("")["code_challenge"]
    answer = public.redeem(code, code_verifier=challenge if wrong == "challenge" else wrong)
    assert answer.status_code in (400, 401)


@pytest.mark.parametrize("taken_back", ["refresh_token", "access_token"])
def test_32_revocation(public: App, ada: Person, taken_back: str) -> None:
    """At once; with a refresh_token all that came of the grant"""
    answer = public.granted(ada, ALL)
    assert public.read("Patient/ada", answer["access_token"]).status_code == 200
    assert public.token("auth/revoke", token=answer[taken_back]).status_code == 200
    assert public.read("Patient/ada", answer["access_token"]).status_code == 401
    again = public.refresh(answer["refresh_token"])
    assert again.status_code == (400 if taken_back == "refresh_token" else 200)


def test_33_34_introspection(clinic: Clinic, ada: Person) -> None:
    """What is active is told, what is not is not"""
    app = clinic.register("client_secret_basic")
    answer = app.granted(ada, ALL)
    told = app.token("auth/introspect", token=answer["access_token"]).json or {}
    assert told["active"] is True
    assert told["client_id"] == app.client_id
    assert told["scope"] == answer["scope"]
    assert told["exp"] > time.time()
    assert told["patient"] == "ada"
    assert (told["iss"], told["sub"]) == (configuration(clinic)["issuer"], ada.id)
    for text in ("nonsense", answer["access_token"][:-4] + "AAAA"):
        assert app.token("auth/introspect", token=text).json == {"active": False}
    other = clinic.register("client_secret_basic")
    assert other.token("auth/introspect", token=answer["access_token"]).json == {"active": False}
    assert other.token("auth/introspect", token=answer["refresh_token"]).json == {"active": False}


# Scopes

_US_CORE_TYPES = """AllergyIntolerance CarePlan CareTeam Condition Coverage Device DiagnosticReport DocumentReference
    Encounter Goal Immunization MedicationDispense MedicationRequest Observation Patient Procedure QuestionnaireResponse
    RelatedPerson ServiceRequest Specimen"""


def test_35_everything_that_was_granted_can_be_searched(public: App, ada: Person) -> None:
    """Each listed type"""
    answer = public.granted(ada, "launch/patient " + " ".join(f"patient/{name}.rs" for name in _US_CORE_TYPES.split()))
    paths = definitions.load().patient_path
    for name in _US_CORE_TYPES.split():
        query = "_id=ada" if name == "Patient" else "patient=ada" if name in paths else "_count=1"
        assert public.read(f"{name}?{query}", answer["access_token"]).status_code == 200, name


def _decided(walk: Walk, app: App, person: Person, scope: str, **form: Any) -> dict[str, Any]:
    walk.open(app.clinic.url("auth/authorize"), **app.parameters(scope))
    walk.sign_in(person)
    without = tuple(name for name, value in form.items() if value is None)
    walk.submit(button="allow", without=without, **{name: value for name, value in form.items() if value is not None})
    answer: dict[str, Any] = app.redeem(walk.left()["code"]).json or {}
    return answer


def test_36_types_that_were_unticked(public: App, ada: Person, walk: Walk) -> None:
    """The scope shrinks, and the type is 403"""
    scope = "launch/patient patient/Patient.rs patient/Observation.rs patient/Condition.rs"
    answer = _decided(walk, public, ada, scope, **{"scope-2": "none"})
    assert answer["scope"] == "launch/patient patient/Patient.rs patient/Condition.rs"
    assert public.read("Observation?patient=ada", answer["access_token"]).status_code == 403
    assert public.read("Condition?patient=ada", answer["access_token"]).status_code == 200


def _kinds(name: str, known: dict[str, tuple[str, str]], chosen: set[str]) -> list[str]:
    return [f"patient/{name}.rs?category={known[one][0]}|{known[one][1]}" for one in known if one in chosen]


FIRST = {"visit", "concern", "lab", "smoking"}
SECOND = {"problem", "weight", "survey", "housing"}


@pytest.mark.parametrize("chosen", [FIRST, SECOND], ids=["first", "second"])
def test_37_38_39_40_narrowed_on_the_page(public: App, ada: Person, walk: Walk, chosen: set[str]) -> None:
    """Conditions and observations by category: exactly the matching ids, by search and by read"""
    scope = "launch/patient patient/Patient.rs patient/Condition.rs patient/Observation.rs"
    wanted = _kinds("Condition", CONDITIONS, chosen), _kinds("Observation", OBSERVATIONS, chosen)
    answer = _decided(
        walk, public, ada, scope,
        **{"scope-2": "some", "scope-2-kind": wanted[0], "scope-3": "some", "scope-3-kind": wanted[1]},
    )  # fmt: skip
    assert set(answer["scope"].split()) == {"launch/patient", "patient/Patient.rs", *wanted[0], *wanted[1]}
    _only(public, answer["access_token"], chosen)


@pytest.mark.parametrize("chosen", [FIRST, SECOND], ids=["first", "second"])
def test_38_39_40_asked_for_narrowly(public: App, ada: Person, chosen: set[str]) -> None:
    """The same where the app asks for no more"""
    narrow = _kinds("Condition", CONDITIONS, chosen) + _kinds("Observation", OBSERVATIONS, chosen)
    answer = public.granted(ada, " ".join(["launch/patient", "patient/Patient.rs", *narrow]))
    _only(public, answer["access_token"], chosen)


def _only(app: App, access_token: str, chosen: set[str]) -> None:
    for kind, known in (("Condition", CONDITIONS), ("Observation", OBSERVATIONS)):
        for query in ("patient=ada", "patient=Patient/ada", "patient=ada&_total=accurate&_count=1"):
            bundle = app.read(f"{kind}?{query}", access_token).get_json(force=True)
            if "_count" in query:
                assert bundle["total"] == len(chosen & set(known))
            else:
                assert {entry["resource"]["id"] for entry in bundle["entry"]} == chosen & set(known)
        for name, (system, code) in known.items():
            status = app.read(f"{kind}/{name}", access_token).status_code
            assert status == (200 if name in chosen else 404), (kind, name)
            found = app.read(f"{kind}?patient=ada&category={system}%7C{code}", access_token).get_json(force=True)
            assert len(found.get("entry", ())) == (1 if name in chosen else 0)


# Backend services


@pytest.mark.parametrize("algorithm", ["RS384", "ES384"])
def test_66_client_credentials(clinic: Clinic, api: Api, algorithm: str) -> None:
    """A signed assertion for an access_token of a service"""
    service = _service(clinic, algorithm)
    answer = service.token(grant_type="client_credentials", scope="system/Patient.rs system/Claim.rs")
    body = answer.json or {}
    assert answer.status_code == 200
    assert (body["scope"], body["token_type"], body["expires_in"]) == ("system/Patient.rs", "Bearer", 300)
    assert service.read("Patient?_count=1", body["access_token"]).status_code == 200
    assert service.read("Claim?_count=1", body["access_token"]).status_code == 403


def _service(clinic: Clinic, algorithm: str = "ES384") -> App:
    return asymmetric(
        clinic, algorithm, grant_types=["client_credentials"], redirect_uris=[], scope="system/Patient.rs"
    )  # fmt: skip


def test_67_what_is_no_client_credentials_request(clinic: Clinic) -> None:
    """Wrong grant, wrong kind of assertion, wrong signature, expired, used before"""
    service = _service(clinic)
    scope = "system/Patient.rs"
    assert service.token(grant_type="not_a_grant", scope=scope).status_code == 400
    make = service.assertion

    def refused(assertion: str, **form: str) -> None:
        service.assertion = None
        told = {
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion, "client_id": service.client_id, "scope": scope,
            "grant_type": "client_credentials",
        } | form  # fmt: skip
        answer = service.token(**told)
        assert answer.status_code in (400, 401), answer.text
        assert (answer.json or {})["error"] == "invalid_client"

    refused(make(), client_assertion_type="not_an_assertion_type")
    head, claims, signature = make().split(".")
    refused(f"{head}.{claims}.{'A' * len(signature)}")
    refused(f"{head}.{claims}.")
    refused(make(exp=int(time.time()) - 60))
    refused(make(aud="https://elsewhere.example.org/token"))
    refused(make(iss="somebody-else"))
    used = make(jti="the same")
    service.assertion = lambda: used
    assert service.token(grant_type="client_credentials", scope=scope).status_code == 200
    refused(used)
    refused(make(jti="the same"))
