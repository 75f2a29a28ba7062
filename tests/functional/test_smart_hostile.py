"""What an attacker tries at the authorization server. https://www.rfc-editor.org/rfc/rfc9700"""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from fhir_server.app import FhirServer
from fhir_server.authn import keys
from fhir_server.authn.people import People, Person
from fhir_server.smart import clients, launches
from fhir_server.store.oauth_clients import DISABLED
from fhir_server.store.tenants import Tenant
from tests.functional.conftest import Api
from tests.functional.smart_clinic import ALL, ada, api, asymmetric, clinic, doctor, public, standalone, walk
from tests.functional.smart_flow import CALLBACK, PASSWORD, QUICK, App, Clinic, Walk, forms


def status_of(app: App, access_token: str) -> int:
    return app.read("Patient/ada", access_token).status_code


def test_a_code_that_is_used_again_takes_everything_back(public: App, ada: Person, walk: Walk) -> None:
    code = walk.through(public, ada, ALL)["code"]
    first = public.redeem(code).json or {}
    assert status_of(public, first["access_token"]) == 200
    again = public.redeem(code)
    assert (again.status_code, (again.json or {})["error"]) == (400, "invalid_grant")
    time.sleep(0.6)
    assert status_of(public, first["access_token"]) == 401
    assert public.refresh(first["refresh_token"]).status_code == 400


def test_of_two_that_use_a_code_at_once_neither_keeps_it(public: App, ada: Person, walk: Walk) -> None:
    code = walk.through(public, ada, ALL)["code"]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: public.redeem(code), range(6)))
    good = [answer.json or {} for answer in answers if answer.status_code == 200]
    assert len(good) <= 1
    time.sleep(0.6)
    for answer in good:
        assert status_of(public, answer["access_token"]) == 401


def test_a_refresh_token_that_comes_back_ends_its_grant(public: App, ada: Person) -> None:
    first = public.granted(ada, ALL)
    second = public.refresh(first["refresh_token"]).json or {}
    assert public.refresh(first["refresh_token"]).status_code == 400
    time.sleep(0.6)
    assert public.refresh(second["refresh_token"]).status_code == 400
    assert status_of(public, second["access_token"]) == 401


def test_codes_and_refresh_tokens_are_of_one_client(clinic: Clinic, public: App, ada: Person, walk: Walk) -> None:
    thief = clinic.register("none")
    thief.verifier = public.verifier
    code = walk.through(public, ada, ALL)["code"]
    assert thief.redeem(code).status_code == 400
    answer = public.redeem(code).json or {}
    assert thief.refresh(answer["refresh_token"]).status_code == 400
    assert thief.token("auth/revoke", token=answer["refresh_token"]).status_code == 400
    assert status_of(public, answer["access_token"]) == 200


def test_a_code_is_for_one_redirect_uri(clinic: Clinic, ada: Person, walk: Walk) -> None:
    app = clinic.register("none", redirect_uris=[CALLBACK, "https://app.example.org/other"])
    code = walk.through(app, ada, ALL)["code"]
    for uri in ("https://app.example.org/other", None):
        assert app.redeem(code, redirect_uri=uri).status_code == 400


@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.example.org/callback",
        "https://app.example.org/callback/../evil",
        "https://app.example.org/callback?next=evil",
        "https://app.example.org@evil.example.org/callback",
        "javascript:alert(1)",
        "//evil.example.org",
    ],
)
@pytest.mark.parametrize("wrong", [{}, {"scope": None}, {"response_type": "token"}])
def test_nobody_is_sent_where_the_app_has_not_registered(
    public: App, walk: Walk, uri: str, wrong: dict[str, Any]
) -> None:
    page = walk.open(public.clinic.url("auth/authorize"), **public.parameters(ALL, redirect_uri=uri, **wrong))
    assert page.status_code == 400
    assert "Location" not in page.headers
    assert "evil" not in page.text
    assert "redirect_uri" in page.text


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "system/*.cruds"}, "invalid_scope"),
        ({"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"launch": "nonsense", "scope": "launch openid"}, "invalid_request"),
        ({"launch": "nonsense"}, "invalid_scope"),
        ({"prompt": "none"}, "login_required"),
    ],
)
def test_what_is_wrong_is_told_to_the_app(public: App, walk: Walk, changes: dict[str, Any], error: str) -> None:
    walk.open(public.clinic.url("auth/authorize"), **public.parameters(ALL, **changes))
    told = walk.left()
    assert told["error"] == error, told
    assert told["state"] == public.state
    assert told["iss"].endswith("/auth")
    assert "code" not in told


def test_a_parameter_given_twice_is_refused(public: App, walk: Walk) -> None:
    parameters: dict[str, Any] = dict(public.parameters(ALL))
    page = walk.browser.get(public.clinic.url("auth/authorize"), query_string={**parameters, "scope": [ALL, "openid"]})
    walk.page = page
    assert walk.left()["error"] == "invalid_request"
    twice = {**parameters, "redirect_uri": [CALLBACK, "https://evil.example.org"]}
    assert walk.browser.get(public.clinic.url("auth/authorize"), query_string=twice).status_code == 400
    form = {"grant_type": ["refresh_token", "authorization_code"], "client_id": public.client_id}
    assert public.clinic.app.test_client().post(public.clinic.url("auth/token"), data=form).status_code == 400


def test_a_form_of_another_site_changes_nothing(public: App, ada: Person, walk: Walk) -> None:
    walk.open(public.clinic.url("auth/authorize"), **public.parameters(ALL))
    walk.sign_in(ada)
    assert walk.page is not None
    (form,) = forms(walk.page.text)
    values = dict(form.fields) | {"do": "allow"}
    for changed, headers in (
        ({"form_token": "0" * 64}, {}),
        ({"form_token": ""}, {}),
        ({}, {"Origin": "https://evil.example.org"}),
        ({}, {"Sec-Fetch-Site": "cross-site"}),
    ):
        answer = walk.browser.post(form.action, data=values | changed, headers=headers)
        assert answer.status_code == 403, changed
    assert walk.browser.post(form.action, data=values).status_code == 200


def test_no_page_can_be_framed_or_kept(public: App, ada: Person, walk: Walk) -> None:
    for path in ("sign-in", "account", "home"):
        answer = walk.browser.get(public.clinic.url(path))
        policy = answer.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Cache-Control"] == "no-store"


def test_the_request_of_one_clinic_is_none_of_another(
    app: FhirServer, public: App, ada: Person, tenant: Tenant, walk: Walk
) -> None:
    walk.open(public.clinic.url("auth/authorize"), **public.parameters(ALL))
    assert walk.page is not None
    handle = walk.page.request.args["request"]
    other = Clinic(app, tenant)
    assert app.test_client().get(other.url(f"consent?request={handle}")).status_code == 410


def test_a_session_of_one_clinic_is_none_of_another(
    app: FhirServer, public: App, ada: Person, tenant: Tenant, walk: Walk
) -> None:
    walk.open(public.clinic.url("account"))
    walk.sign_in(ada)
    cookie = next(one for one in walk.browser._cookies.values() if one.key.startswith("session-"))  # type: ignore[union-attr]
    other = app.test_client()
    other.set_cookie(f"session-{tenant.slug}", cookie.value)
    answer = other.get(f"/t/{tenant.slug}/account")
    assert answer.status_code == 303
    assert "/sign-in" in answer.headers["Location"]


def test_an_access_token_is_of_one_clinic(app: FhirServer, standalone: dict[str, Any], tenant: Tenant) -> None:
    bearer = {"Authorization": f"Bearer {standalone['access_token']}"}
    assert app.test_client().get(f"/t/{tenant.slug}/fhir/Patient/ada", headers=bearer).status_code == 403
    other = Clinic(app, tenant).register("client_secret_basic")
    assert other.token("auth/introspect", token=standalone["access_token"]).json == {"active": False}
    assert other.token("auth/revoke", token=standalone["access_token"]).status_code == 200
    assert app.test_client().get(standalone_path(app, standalone), headers=bearer).status_code == 200


def standalone_path(app: FhirServer, answer: dict[str, Any]) -> str:
    claims = app.pages.smart.verifier.verify(answer["access_token"])
    return f"/t/{claims.tenant}/fhir/Patient/ada"


def test_who_is_shut_out_is_out_at_once(clinic: Clinic, public: App, api: Api) -> None:
    person = clinic.person("patient", "Patient/ada")
    answer = public.granted(person, ALL)
    assert status_of(public, answer["access_token"]) == 200
    People(clinic.app.database, QUICK).change(clinic.tenant.id, person.id, disabled=True)
    time.sleep(0.6)
    assert status_of(public, answer["access_token"]) == 401
    assert public.refresh(answer["refresh_token"]).status_code == 400


def test_other_roles_hold_from_the_next_access_token_on(clinic: Clinic, public: App, api: Api) -> None:
    person = clinic.person("physician", "Practitioner/doctor")
    answer = public.granted(person, "user/Observation.rs user/Claim.rs offline_access", patient="ada")
    assert answer["scope"] == "user/Observation.rs offline_access", "no claims for physicians"
    People(clinic.app.database, QUICK).change(clinic.tenant.id, person.id, roles=["executive"])
    time.sleep(1.1)
    assert public.read("Observation?patient=ada", answer["access_token"]).status_code == 401
    again = public.refresh(answer["refresh_token"]).json or {}
    found = public.read("Observation?patient=ada", again["access_token"])
    assert found.status_code in (400, 403), "executives see nobody's observations"


def test_a_client_that_is_shut_out_is_out_at_once(clinic: Clinic, ada: Person) -> None:
    app = clinic.register("none")
    answer = app.granted(ada, ALL)
    clients.set_state(clinic.app.database, clinic.tenant.id, clinic.tenant.slug, app.client_id, DISABLED, "test")
    time.sleep(0.6)
    assert status_of(app, answer["access_token"]) == 401
    assert app.refresh(answer["refresh_token"]).status_code in (400, 401)
    page = Walk(clinic.app.test_client(), clinic).open(clinic.url("auth/authorize"), **app.parameters(ALL))
    assert page.status_code == 400


def test_online_access_ends_with_the_session(clinic: Clinic, public: App, ada: Person, walk: Walk) -> None:
    code = walk.through(public, ada, ALL.replace("offline", "online"))["code"]
    answer = public.redeem(code).json or {}
    assert public.read("Patient/ada", answer["access_token"]).status_code == 200
    walk.open(clinic.url("sign-out"))
    walk.submit()
    time.sleep(0.6)
    assert status_of(public, answer["access_token"]) == 401
    assert public.refresh(answer["refresh_token"]).status_code == 400


def test_a_launch_is_of_one_person_one_app_and_one_use(
    clinic: Clinic, public: App, doctor: Person, ada: Person, walk: Walk
) -> None:
    begin = launches.Launches(clinic.app.database).begin
    handle = begin(clinic.tenant.id, doctor.id, public.client_id, launches.context("ada"))
    scope = "launch patient/Patient.rs"
    other = clinic.register("none")
    walk.open(clinic.url("auth/authorize"), **other.parameters(scope, launch=handle))
    assert walk.left()["error"] == "invalid_request"
    walk.open(clinic.url("auth/authorize"), **public.parameters(scope, launch=handle))
    walk.sign_in(ada)
    assert walk.left()["error"] == "access_denied"
    assert public.granted(doctor, scope, launch=handle)["patient"] == "ada"
    walk.open(clinic.url("auth/authorize"), **public.parameters(scope, launch=handle))
    assert walk.left()["error"] == "invalid_request"


def test_nobody_grants_more_than_was_offered(public: App, ada: Person, walk: Walk) -> None:
    walk.open(public.clinic.url("auth/authorize"), **public.parameters("launch/patient patient/Observation.rs"))
    walk.sign_in(ada)
    more = ["user/*.cruds", "patient/Condition.rs", "patient/Observation.rs?category=http://elsewhere|x"]
    page = walk.submit(button="allow", **{"scope-1": "some", "scope-1-kind": more})
    assert page.status_code == 400, "none of the kinds is one that was offered"


def test_a_patient_that_is_not_ones_own_cannot_be_chosen(public: App, doctor: Person, api: Api, walk: Walk) -> None:
    api.put("Patient/eve", {"resourceType": "Patient", "id": "eve"})
    walk.open(public.clinic.url("auth/authorize"), **public.parameters(ALL))
    walk.sign_in(doctor)
    page = walk.submit(0, patient="eve")
    assert page.status_code == 400
    assert "no such patient" in page.text


def test_system_scopes_wait_for_an_approval(clinic: Clinic) -> None:
    clinic.settings(registration="open")
    browser = clinic.app.test_client()
    wanted = {
        "client_name": "A service", "token_endpoint_auth_method": "client_secret_basic",
        "grant_types": ["client_credentials"], "scope": "system/Patient.rs",
    }  # fmt: skip
    registered = browser.post(clinic.url("auth/register"), json=wanted)
    told = registered.json or {}
    assert registered.status_code == 201
    assert told["approval_pending"] is True
    service = App(clinic, told["client_id"], told["client_secret"])
    ask = {"grant_type": "client_credentials", "scope": "system/Patient.rs"}
    assert service.token(**ask).status_code == 401
    clients.set_state(clinic.app.database, clinic.tenant.id, clinic.tenant.slug, told["client_id"], "active", "test")
    answer = service.token(**ask).json or {}
    assert answer["scope"] == "system/Patient.rs"
    bearer = {"Authorization": f"Bearer {told['registration_access_token']}"}
    path = clinic.url(f"auth/register/{told['client_id']}")
    more = wanted | {"client_id": told["client_id"], "scope": "system/*.cruds"}
    changed = browser.put(path, json=more, headers=bearer)
    assert (changed.json or {})["approval_pending"] is True, "more than was approved is to be approved again"
    assert service.token(**ask).status_code == 401
    assert browser.get(path, headers=bearer).status_code == 401, "its token became another"
    clinic.settings(registration=None)


@pytest.mark.parametrize("state", ["pending", "disabled"])
def test_a_service_with_a_key_waits_for_an_approval_too(clinic: Clinic, state: str) -> None:
    service = asymmetric(
        clinic, "ES384", grant_types=["client_credentials"], redirect_uris=[], scope="system/Patient.rs"
    )
    ask = {"grant_type": "client_credentials", "scope": "system/Patient.rs"}
    assert service.token(**ask).status_code == 200
    clients.set_state(clinic.app.database, clinic.tenant.id, clinic.tenant.slug, service.client_id, state, "test")
    assert service.token(**ask).status_code == 401
    assert service.token("auth/introspect", token="a").status_code == 401


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"redirect_uris": ["http://evil.example.org"]}, "invalid_redirect_uri"),
        ({"redirect_uris": []}, "invalid_redirect_uri"),
        ({"redirect_uris": "https://a.example.org"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "client_secret_jwt"}, "invalid_client_metadata"),
        ({"grant_types": ["password"]}, "invalid_client_metadata"),
        ({"grant_types": ["implicit"]}, "invalid_client_metadata"),
        ({"response_types": ["token"]}, "invalid_client_metadata"),
        ({"scope": "system/*.rs"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "http://10.0.0.1/"}, "invalid_client_metadata"),
        ({"jwks": {"keys": [{"kty": "oct", "k": "AAAA", "kid": "a"}]}}, "invalid_client_metadata"),
        ({"client_name": "a" * 201}, "invalid_client_metadata"),
        ({"logo_uri": "javascript:alert(1)"}, "invalid_client_metadata"),
    ],
)
def test_clients_that_cannot_be_registered(clinic: Clinic, changes: dict[str, Any], error: str) -> None:
    clinic.settings(registration="open")
    wanted = {"client_name": "App", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"} | changes
    answer = clinic.app.test_client().post(clinic.url("auth/register"), json=wanted)
    clinic.settings(registration=None)
    assert (answer.status_code, (answer.json or {})["error"]) == (400, error)


def test_registration_off_and_by_an_initial_access_token(clinic: Clinic) -> None:
    browser = clinic.app.test_client()
    wanted = {"client_name": "App", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"}
    path = clinic.url("auth/register")
    assert browser.post(path, json=wanted).status_code == 403
    clinic.settings(registration="token")
    assert browser.post(path, json=wanted).status_code == 401
    token = clients.initial_access_token(clinic.app.database, clinic.tenant.id, 1, 1, "test")
    bearer = {"Authorization": f"Bearer {token}"}
    registered = browser.post(path, json=wanted, headers=bearer)
    assert registered.status_code == 201
    assert browser.post(path, json=wanted, headers=bearer).status_code == 401, "it was good for one"
    clinic.settings(registration=None)
    own = {"Authorization": f"Bearer {(registered.json or {})['registration_access_token']}"}
    mine = clinic.url(f"auth/register/{(registered.json or {})['client_id']}")
    assert browser.get(mine, headers=own).status_code == 200
    assert browser.get(mine, headers=bearer).status_code == 401
    assert browser.delete(mine, headers=own).status_code == 204
    assert browser.get(mine, headers=own).status_code == 401


def test_token_exchange_makes_less_of_ones_own(clinic: Clinic, ada: Person, standalone: dict[str, Any]) -> None:
    exchange = "urn:ietf:params:oauth:grant-type:token-exchange"
    app = clinic.register("client_secret_basic", grant_types=["authorization_code", "refresh_token", exchange])
    answer = app.granted(ada, ALL)
    kind = "urn:ietf:params:oauth:token-type:access_token"

    def ask(token: str, scope: str) -> Any:
        return app.token(grant_type=exchange, subject_token=token, subject_token_type=kind, scope=scope)

    less = ask(answer["access_token"], "patient/Patient.rs").json or {}
    assert (less["scope"], less["issued_token_type"]) == ("patient/Patient.rs", kind)
    assert app.read("Patient/ada", less["access_token"]).status_code == 200
    assert app.read("Observation?patient=ada", less["access_token"]).status_code == 403
    assert ask(less["access_token"], "patient/*.rs").status_code == 400
    assert ask(answer["access_token"], "user/*.cruds").status_code == 400
    assert ask(standalone["access_token"], "patient/Patient.rs").status_code == 400, "another client's"
    assert ask("nonsense", "patient/Patient.rs").status_code == 400
    app.token("auth/revoke", token=answer["refresh_token"])
    time.sleep(0.6)
    assert app.read("Patient/ada", less["access_token"]).status_code == 401, "it ends with its grant"


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_an_access_token_of_ones_own_making(clinic: Clinic, public: App, algorithm: str) -> None:
    ring = keys.load_or_create(clinic.app.settings.key_file)
    now = int(time.time())
    claims = {
        "iss": clinic.app.settings.issuer, "aud": clinic.app.settings.issuer, "sub": "a", "client_id": "a",
        "tenant": clinic.tenant.slug, "scope": "system/*.cruds", "iat": now, "exp": now + 60, "jti": "a",
    }  # fmt: skip
    public_half = str(ring.signing.as_pem(private=False)) if algorithm == "HS256" else ""
    header = {"alg": algorithm, "typ": "at+jwt", "kid": ring.signing.kid}
    key = OctKey.import_key(public_half or "nothing-at-all-of-a-key")
    forged = jwt.encode(header, claims, key, algorithms=["none", "HS256"])
    assert status_of(public, forged) == 401


def test_an_assertion_for_one_clinic_is_none_at_another(app: FhirServer, clinic: Clinic, tenant: Tenant) -> None:
    service = asymmetric(
        clinic, "ES384", grant_types=["client_credentials"], redirect_uris=[], scope="system/Patient.rs"
    )
    elsewhere = App(Clinic(app, tenant), service.client_id)
    elsewhere.assertion = service.assertion
    answer = elsewhere.token(grant_type="client_credentials", scope="system/Patient.rs")
    assert answer.status_code == 401


def test_secrets_are_in_no_log(
    clinic: Clinic, ada: Person, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    app = clinic.register("client_secret_basic")
    answer = app.granted(ada, ALL)
    app.refresh("nonsense-" + uuid.uuid4().hex)
    written = capfd.readouterr()
    text = written.out + written.err + caplog.text
    for secret in (PASSWORD, app.secret, answer["access_token"], answer["refresh_token"], answer["id_token"]):
        assert secret not in text


def test_a_body_that_is_too_large_or_no_form(clinic: Clinic) -> None:
    browser = clinic.app.test_client()
    path = clinic.url("auth/token")
    assert browser.post(path, data={"grant_type": "a" * 200_000}).status_code == 413
    assert browser.post(path, json={"grant_type": "refresh_token"}).status_code == 400
    assert browser.get(path).status_code == 405
    assert browser.post("/t/no-such-clinic/auth/token", data={"grant_type": "x"}).status_code == 404
