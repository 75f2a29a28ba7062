"""Every URL that is not FHIR's, asked by those who are nobody there: other clinics' people, and people of lesser roles.

The URLs are those that the application knows, so that a new page is attacked without anybody writing a test.
https://owasp.org/www-project-web-security-testing-guide/
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import pytest
from werkzeug.routing import Rule
from werkzeug.test import Client as Browser
from werkzeug.test import TestResponse

from fhir_server.access.roles import ROLES
from fhir_server.app import FhirServer
from fhir_server.authn import clinic_settings, keys
from fhir_server.authn.access_token import issue
from fhir_server.authn.people import People, Person
from fhir_server.authn.sessions import Sessions
from fhir_server.console.page import ANYONE, PASSWORD_GIVEN, SIGNED_IN, Page
from fhir_server.console.pages.registry import PAGES as OWN
from fhir_server.settings import Settings
from fhir_server.smart import clients
from fhir_server.store import tenants
from fhir_server.store.database_urls import DatabaseUrls
from hl7_gateway.console.pages import PAGES as ADDED
from tests.functional.conftest import Api
from tests.functional.hl7.gateway import message
from tests.functional.hl7.ward import Ward
from tests.functional.smart_flow import QUICK, App, Clinic, Walk, forms

PAGES = (*OWN, *ADDED)
HIDDEN = "Hiddenplace"
"""What stands in the names of the attacked clinic's people and patients."""
APP = "Quietplace"
"""The name of its app."""

OPEN = {
    "probes.healthz", "probes.readyz", "probes.metrics", "console.assets", "console.authorize", "console.resume",
    "console.sign-in", "console.sign-out", "smart.jwks", "smart.openid_configuration", "smart.server_metadata",
    "smart.smart_configuration", "smart.style", "smart.registered", "smart.token", "smart.introspect", "smart.revoke",
    "smart.register", "platform.docs", "platform.sign_in", "api-docs.openapi_json",
}  # fmt: skip
"""What answers anybody, or asks for other credentials than a session: a new one is added here knowingly."""


@dataclass
class Scene:
    """A clinic that is attacked, another one, and somebody of each."""

    clinic: Clinic
    elsewhere: Clinic
    api: Api
    admin: Person
    doctor: Person
    foreigner: Person
    client: App
    ward: Ward
    letter: int

    def browser(self, *cookies: tuple[str, str]) -> Browser:
        """A browser with these cookies."""
        browser = self.clinic.app.test_client()
        for name, value in cookies:
            browser.set_cookie(name, value)
        return browser

    def session(self, clinic: Clinic, person: Person) -> str:
        """The cookie of a session."""
        database, tenant = clinic.app.database, clinic.tenant.id
        settings = clinic_settings.read(database, tenant)
        return Sessions(database).create(tenant, person.id, ("pwd", "totp"), "127.0.0.1", "x", settings)

    def signed_in(self, person: Person) -> Browser:
        """The browser of somebody of the attacked clinic."""
        return self.browser((f"session-{self.clinic.tenant.slug}", self.session(self.clinic, person)))

    def state(self) -> Any:
        """What the pages can change."""
        database, tenant = self.clinic.app.database, self.clinic.tenant.id
        people = [(one.id, one.roles, one.disabled, one.name) for one in People(database, QUICK).listed(tenant)]
        apps = [(one.id, one.state, one.name) for one in clients.listed(database, tenant)]
        letters = [(one.id, one.state, one.attempts) for one in self.ward.found()]
        return people, apps, letters, self.api.get("Patient?_summary=count").json["total"]

    def path(self, page: Page) -> str:
        """The path of a page, filled in with what is the attacked clinic's."""
        path = page.path.replace("<person>", self.admin.id).replace("<message>", str(self.letter))
        return self.clinic.url(path.replace("<feed>", str(self.ward.found()[0].feed_id)).lstrip("/"))

    def requests(self) -> Iterator[tuple[Rule, str, str]]:
        """Every rule with each of its methods, filled in with what is the attacked clinic's."""
        known = {
            "slug": self.clinic.tenant.slug,
            "person": self.admin.id,
            "client_id": self.client.client_id,
            "name": "console.css",
            "factor_id": "x",
            "message": str(self.letter),
            "feed": str(self.ward.found()[0].feed_id),
        }
        for rule in self.clinic.app.url_map.iter_rules():
            values = {name: known[name] for name in rule.arguments}
            _, path = rule.build(values) or ("", "")
            for method in sorted((rule.methods or set()) - {"OPTIONS"}):
                yield rule, method, str(path)


@pytest.fixture(scope="module")
def scene(app: FhirServer, database: DatabaseUrls, access_token: Any) -> Scene:
    assert database.owner is not None
    made = []
    with psycopg.connect(database.owner, autocommit=True) as owner:
        for name in ("attacked", "elsewhere"):
            made.append(Clinic(app, tenants.create(owner, f"{name}-{uuid.uuid4().hex[:8]}")))
            made[-1].settings(second_factor=False)
    clinic, elsewhere = made
    api = Api(app, clinic.tenant.slug, access_token(clinic.tenant.slug))
    for name, doctor in (("mine", "Practitioner/d"), ("theirs", "Practitioner/other")):
        family = HIDDEN if name == "theirs" else "Shown"
        patient = {"resourceType": "Patient", "id": name, "name": [{"family": family, "given": ["Test"]}]}
        assert api.put(f"Patient/{name}", patient | {"generalPractitioner": [{"reference": doctor}]}).status == 201
    people = People(app.database, QUICK)
    admin = people.create(
        clinic.tenant.id, username=f"{HIDDEN}-admin", name=HIDDEN, roles=["clinic_admin"], password=uuid.uuid4().hex
    )
    ward = Ward(app.database, clinic.tenant, port=1, facility="HOSP")
    ward.keep(message("1", rest=f"NK1|1|{HIDDEN}^ANNA\r"), message("2", patient="", rest=f"NK1|1|{HIDDEN}^ANNA\r"))
    ward.work()
    (dead,) = ward.found(state="dead")
    return Scene(
        clinic,
        elsewhere,
        api,
        admin,
        clinic.person("physician", "Practitioner/d"),
        elsewhere.person("clinic_admin"),
        clinic.register(client_name=APP, scope="launch/patient openid offline_access patient/*.rs"),
        ward,
        dead.id,
    )


def sent(browser: Browser, method: str, path: str, **form: str) -> TestResponse:
    return browser.open(path, method=method, data=form if method in ("POST", "PUT") else None)


FORMS: Sequence[dict[str, str]] = (
    {},
    {"do": "approve", "client": "x", "patient": "theirs", "name": HIDDEN},
    {"do": "disable", "role": "clinic_admin", "username": "intruder", "fhir_user": "Patient/theirs"},
    {"do": "launch", "patient": "theirs", "encounter": "", "page": "x"},
    {"do": "replay", "text": "MSH|^~\\&|A", "patient": "123^^^HOSP"},
    {"do": "drop", "reason": "because", "message": "1"},
)


@pytest.mark.parametrize("who", ["nobody", "somebody of another clinic", "a forged cookie", "a session that has ended"])
def test_no_url_shows_anything_to_strangers(scene: Scene, who: str) -> None:
    slug = scene.clinic.tenant.slug
    foreign = scene.session(scene.elsewhere, scene.foreigner)
    ended = scene.session(scene.clinic, scene.admin)
    Sessions(scene.clinic.app.database).revoke_all(scene.clinic.tenant.id, scene.admin.id)
    cookies = {
        "nobody": [],
        "somebody of another clinic": [
            (f"session-{scene.elsewhere.tenant.slug}", foreign),
            (f"session-{slug}", foreign),
        ],
        "a forged cookie": [(f"session-{slug}", "A" * 43)],
        "a session that has ended": [(f"session-{slug}", ended)],
    }[who]
    before = scene.state()
    for rule, method, path in scene.requests():
        for form in FORMS if method == "POST" else FORMS[:1]:
            answer = sent(scene.browser(*cookies), method, path, **form)
            assert HIDDEN not in answer.text.replace(form.get("name", "\0"), ""), f"{method} {path}"
            assert APP not in answer.text, f"{method} {path}"
            if rule.endpoint not in OPEN:
                assert answer.status_code in (302, 303, 401, 403, 404, 405), f"{method} {path}: {answer.status_code}"
                assert "/sign-in" in answer.headers.get("Location", "/sign-in")
    assert scene.state() == before


@pytest.mark.parametrize("role", ["clinic_admin", "super_admin", ""])
def test_access_tokens_of_a_clinic_open_nothing_beside_fhir(scene: Scene, settings: Settings, role: str) -> None:
    """Neither the pages nor the platform, whatever roles they carry."""
    access_token = issue(
        keys.load_or_create(settings.key_file),
        issuer=settings.issuer,
        sub=scene.admin.id,
        client_id=scene.client.client_id,
        tenant=scene.clinic.tenant.slug,
        scope="user/*.cruds" if role else "system/*.cruds",
        lifetime=600,
        roles=[role] if role else (),
    )
    before = scene.state()
    for rule, method, path in scene.requests():
        answer = scene.browser().open(path, method=method, headers={"Authorization": f"Bearer {access_token}"})
        assert HIDDEN not in answer.text, f"{method} {path}"
        assert APP not in answer.text, f"{method} {path}"
        if rule.endpoint not in OPEN:
            assert answer.status_code in (302, 303, 401, 403, 404, 405), f"{method} {path}: {answer.status_code}"
    assert scene.state() == before


@pytest.mark.parametrize("role", sorted(set(ROLES) - {"super_admin", "clinic_admin"}))
def test_pages_refuse_whose_role_does_not_include_them(scene: Scene, role: str) -> None:
    person = scene.clinic.person(role, "Patient/mine" if role == "patient" else "Practitioner/nobody")
    before = scene.state()
    for page in PAGES:
        path = scene.path(page)
        for method in ("GET", "POST") if page.posts else ("GET",):
            answer = sent(scene.signed_in(person), method, path, **FORMS[2])
            if page.permission not in (ANYONE, SIGNED_IN, PASSWORD_GIVEN, "launcher"):
                assert answer.status_code == 403, f"{method} {path}"
            shown = role in ("staff", "billing") and page.permission == "launcher"
            assert shown or HIDDEN not in answer.text, f"{method} {path}"
    assert scene.state() == before


def test_nobody_of_the_clinic_changes_anything_without_the_form_of_the_page(scene: Scene) -> None:
    """https://owasp.org/www-community/attacks/csrf"""
    before = scene.state()
    for page in PAGES:
        if page.posts and not page.foreign:
            path = scene.path(page)
            for form in FORMS:
                answer = scene.signed_in(scene.admin).post(path, data=form, headers={"Origin": "https://evil.example"})
                assert answer.status_code in (303, 403, 404), f"{path}: {answer.status_code}"
    assert scene.state() == before


def test_a_physician_picks_among_their_own_patients(scene: Scene) -> None:
    walk = Walk(scene.signed_in(scene.doctor), scene.clinic)
    walk.open(scene.clinic.url("auth/authorize"), **scene.client.parameters("launch/patient patient/*.rs"))
    assert walk.page is not None
    assert "Choose a patient" in walk.page.text
    assert "Shown" in walk.page.text
    assert HIDDEN not in walk.page.text
    search = next(
        number for number, form in enumerate(forms(walk.page.text)) if any(n == "name" for n, _ in form.fields)
    )
    told = []
    for name in ("Hiddenplac", "Nosuchname"):
        answer = walk.submit(search, name=name)
        assert "theirs" not in [value for form in forms(answer.text) for _, value in form.buttons]
        told.append(answer.text.replace(name, "*"))
    assert _plain(told[0]) == _plain(told[1])
    chosen = []
    for patient in ("theirs", "nosuch"):
        answer = walk.submit(search, patient=patient)
        assert "no such patient" in answer.text
        chosen.append(_plain(answer.text.replace(patient, "*")))
    assert chosen[0] == chosen[1]


def test_what_somebody_else_has_picked_is_not_shown(scene: Scene) -> None:
    """The handle of a request in which the other patient was chosen, in the browser of a physician who has not."""
    other = scene.clinic.person("physician", "Practitioner/other")
    walk = Walk(scene.signed_in(other), scene.clinic)
    walk.open(scene.clinic.url("auth/authorize"), **scene.client.parameters("launch/patient patient/*.rs"))
    page = walk.choose("theirs")
    assert HIDDEN in page.text
    handle = page.request.args["request"]
    for path in ("consent", "patients/choose", "auth/resume", "launcher", "home"):
        stolen = Walk(scene.signed_in(scene.doctor), scene.clinic)
        assert HIDDEN not in stolen.open(scene.clinic.url(path), request=handle).text, path
        foreign = (f"session-{scene.elsewhere.tenant.slug}", scene.session(scene.elsewhere, scene.foreigner))
        away = Walk(scene.browser(foreign), scene.elsewhere)
        assert HIDDEN not in away.open(scene.elsewhere.url(path), request=handle).text, path


def test_what_one_clinic_gave_is_void_at_another(scene: Scene) -> None:
    scope = "openid offline_access launch/patient patient/*.rs"
    granted = scene.client.granted(scene.doctor, scope, patient="mine")
    access, refresh = granted["access_token"], granted["refresh_token"]
    code = Walk(scene.clinic.app.test_client(), scene.clinic).through(scene.client, scene.doctor, scope, patient="mine")
    away = replace(scene.client, clinic=scene.elsewhere)
    local = scene.elsewhere.register("client_secret_basic", scope)
    assert away.redeem(code["code"]).status_code in (400, 401)
    assert local.redeem(code["code"], code_verifier=scene.client.verifier).status_code == 400
    assert away.refresh(refresh).status_code in (400, 401)
    assert local.refresh(refresh).status_code == 400
    for given in (access, refresh):
        assert local.token("auth/introspect", token=given).get_json() == {"active": False}
        assert local.token("auth/revoke", token=given).status_code == 200
    assert away.read("Patient/mine", access).status_code == 403
    assert scene.client.read("Patient/mine", access).status_code == 200
    assert scene.client.read("Patient/theirs", access).status_code == 404
    assert scene.client.refresh(refresh).status_code == 200
    answer = scene.client.redeem(code["code"])
    assert answer.status_code == 200, answer.text


def _plain(page: str) -> list[str]:
    """A page without the form tokens, which differ each time."""
    return [line for line in page.splitlines() if "token" not in line]
