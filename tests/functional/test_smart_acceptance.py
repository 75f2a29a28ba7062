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
from tests.functional.smart_flow import App, Clinic, Walk, query_of

CATEGORY = "http://terminology.hl7.org/CodeSystem"
US_CORE = "http://hl7.org/fhir/us/core/CodeSystem"
CONDITION, OBSERVATION = f"{CATEGORY}/condition-category", f"{CATEGORY}/observation-category"
CAPABILITIES = """launch-standalone client-public client-confidential-symmetric client-confidential-asymmetric
    sso-openid-connect context-standalone-patient permission-offline permission-patient authorize-post permission-v1
    permission-v2 launch-ehr context-banner context-style context-ehr-patient context-ehr-encounter permission-user"""
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


# Discovery


def test_02_the_capability_statement_is_for_everybody(clinic: Clinic) -> None:
    """`GET /metadata` without an access_token"""
    answer = clinic.app.test_client().get(clinic.url("fhir/metadata"))
    assert answer.status_code == 200
    assert (answer.json or {})["fhirVersion"] == "4.0.1"


def _configuration(clinic: Clinic, path: str = "fhir/.well-known/smart-configuration") -> dict[str, Any]:
    answer = clinic.app.test_client().get(clinic.url(path), headers={"Accept": "application/json"})
    assert answer.status_code == 200
    assert answer.mimetype == "application/json"
    document: dict[str, Any] = answer.json or {}
    return document


def test_04_05_06_07_08_smart_configuration(clinic: Clinic) -> None:
    """`.well-known/smart-configuration` with endpoints, grants, PKCE by S256 alone, issuer and keys"""
    found = _configuration(clinic)
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
    assert capability in _configuration(clinic)["capabilities"]


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
    assert told["iss"] == _configuration(public.clinic)["issuer"]


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


def _asymmetric(clinic: Clinic, algorithm: str, **metadata: Any) -> App:
    key: RSAKey | ECKey = (
        RSAKey.generate_key(2048, auto_kid=True) if algorithm[0] == "R" else ECKey.generate_key("P-384", auto_kid=True)
    )
    app = clinic.register("private_key_jwt", jwks={"keys": [key.as_dict(private=False)]}, **metadata)
    audience = _configuration(clinic)["token_endpoint"]

    def assertion(**changes: Any) -> str:
        now = int(time.time())
        claims = {
            "iss": app.client_id, "sub": app.client_id, "aud": audience, "exp": now + 240, "jti": uuid.uuid4().hex,
        } | changes  # fmt: skip
        return jwt.encode({"alg": algorithm, "kid": key.kid, "typ": "JWT"}, claims, key, algorithms=[algorithm])

    app.assertion = assertion
    return app


@pytest.mark.parametrize("kind", ["none", "client_secret_basic", "RS384", "ES384"])
def test_20_every_kind_of_client(clinic: Clinic, ada: Person, kind: str) -> None:
    """Public, symmetric and asymmetric clients; each gets an id_token"""
    app = _asymmetric(clinic, kind) if kind[-3:] == "384" else clinic.register(kind)
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
    issuer = _configuration(clinic)["issuer"]
    found = _configuration(clinic, "auth/.well-known/openid-configuration")
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
    assert claims["iss"] == _configuration(clinic)["issuer"]
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
    assert (told["iss"], told["sub"]) == (_configuration(clinic)["issuer"], ada.id)
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
    return _asymmetric(
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
