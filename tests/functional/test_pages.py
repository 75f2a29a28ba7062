"""The pages as people meet them, without JavaScript. docs/pages.md"""

from __future__ import annotations

import re
import time
from html import unescape
from html.parser import HTMLParser

import pyotp
import pytest

from fhir_server.app import FhirServer
from fhir_server.authn.people import People
from fhir_server.console.pages.registry import PAGES
from fhir_server.store.tenants import Tenant
from tests.functional.conftest import Api
from tests.functional.smart_flow import PASSWORD, QUICK, Clinic, Walk, forms


@pytest.fixture
def clinic(app: FhirServer, tenant: Tenant) -> Clinic:
    return Clinic(app, tenant)


@pytest.fixture
def walk(clinic: Clinic) -> Walk:
    return Walk(clinic.app.test_client(), clinic)


def heading(walk: Walk) -> str:
    """The page's heading."""
    assert walk.page is not None
    found = re.search(r"<h1>(.*?)</h1>", walk.page.text, re.S)
    assert found, walk.page.text
    return unescape(found[1])


def key_of(walk: Walk) -> pyotp.TOTP:
    """An authenticator app with the key that the page shows."""
    assert walk.page is not None
    found = re.search(r'class="code">([A-Z2-7 ]+)<', walk.page.text)
    assert found
    return pyotp.TOTP(found[1].replace(" ", ""))


def submit_with(walk: Walk, field: str, **values: str) -> None:
    """Send the form that has this field."""
    assert walk.page is not None
    number = next(n for n, form in enumerate(forms(walk.page.text)) if field in dict(form.fields))
    walk.submit(number, **values)


def test_a_first_sign_in_sets_up_a_second_step_and_the_next_asks_for_it(clinic: Clinic, walk: Walk) -> None:
    person = clinic.person("physician", "Practitioner/1")
    walk.open(clinic.url("home"))
    walk.sign_in(person)
    assert heading(walk) == "Set up a second step"
    assert 'src="data:image/svg+xml' in walk.page.text  # type: ignore[union-attr]
    for path in ("home", "account", "launcher"):
        walk.open(clinic.url(path))
        assert heading(walk) == "Set up a second step", "nothing before it is done"
    app = key_of(walk)
    submit_with(walk, "code", code="000000")
    assert heading(walk) == "Set up a second step"
    assert key_of(walk).secret == app.secret, "the same key while somebody mistypes"
    submit_with(walk, "code", code=app.at(int(time.time()) - 30))
    assert heading(walk) == "Your recovery codes"
    codes = re.findall(r"<li>([0-9a-z-]{17})</li>", walk.page.text)  # type: ignore[union-attr]
    assert len(codes) == 10
    walk.open(clinic.url("home"))
    assert heading(walk).startswith("Welcome")

    again = Walk(clinic.app.test_client(), clinic)
    again.open(clinic.url("account"))
    again.sign_in(person)
    assert heading(again) == "Confirm that it is you"
    again.open(clinic.url("account/second-factor"))
    assert heading(again) == "Confirm that it is you", "a new one is set up by those only who have shown the old one"
    submit_with(again, "code", code=app.now())
    again.open(clinic.url("account"))
    assert heading(again) == "My account"
    assert "Authenticator app" in again.page.text  # type: ignore[union-attr]

    lost = Walk(clinic.app.test_client(), clinic)
    lost.open(clinic.url("home"))
    lost.sign_in(person)
    submit_with(lost, "recovery", recovery=codes[3].upper())
    assert heading(lost).startswith("Welcome")


def test_many_wrong_codes_make_wait(clinic: Clinic, walk: Walk) -> None:
    person = clinic.person("staff")
    walk.open(clinic.url("home"))
    walk.sign_in(person)
    app = key_of(walk)
    submit_with(walk, "code", code=app.at(int(time.time()) - 30))
    other = Walk(clinic.app.test_client(), clinic)
    other.open(clinic.url("home"))
    other.sign_in(person)
    for _ in range(5):
        submit_with(other, "code", code="000000")
    assert other.page is not None
    assert other.page.status_code == 429
    assert other.page.headers["Retry-After"] == "30"
    submit_with(other, "code", code=app.now())
    assert heading(other) == "Confirm that it is you"


def test_the_cookie_changes_with_each_step_of_signing_in(clinic: Clinic, walk: Walk) -> None:
    def cookie() -> str:
        return next((one.value for one in walk.browser._cookies.values() if one.key.startswith("session-")), "")  # type: ignore[union-attr]

    person = clinic.person("staff")
    walk.open(clinic.url("home"))
    assert cookie() == ""
    walk.sign_in(person)
    first = cookie()
    submit_with(walk, "code", code=key_of(walk).at(int(time.time()) - 30))
    assert cookie() not in ("", first)
    stale = clinic.app.test_client()
    stale.set_cookie(f"session-{clinic.tenant.slug}", first)
    assert stale.get(clinic.url("account")).status_code == 303


def test_a_wrong_password_and_a_name_that_nobody_has_look_alike(clinic: Clinic, walk: Walk) -> None:
    clinic.settings(second_factor=False)
    person = clinic.person("staff")
    texts = []
    for username in (person.username, "nobody-at-all"):
        walk.open(clinic.url("sign-in"))
        walk.submit(username=username, password="wrong password here")
        assert walk.page is not None
        assert walk.page.status_code == 400
        texts.append(re.sub(r'value="[^"]*"', "", walk.page.text.replace(username, "NAME")))
    assert texts[0] == texts[1]


def test_a_password_that_was_handed_out_is_changed_first(clinic: Clinic, walk: Walk) -> None:
    clinic.settings(second_factor=False)
    person = clinic.person("staff", must_change_password=True)
    walk.open(clinic.url("account"))
    walk.sign_in(person)
    assert heading(walk) == "Choose a new password"
    for old, new, again, field in (
        ("wrong", "four unrelated words here", "four unrelated words here", "old"),
        (PASSWORD, "short", "short", "new"),
        (PASSWORD, "four unrelated words here", "four unrelated words there", "again"),
        (PASSWORD, PASSWORD, PASSWORD, "new"),
    ):
        walk.submit(old=old, new=new, again=again)
        assert f'id="{field}-wrong"' in walk.page.text, field  # type: ignore[union-attr]
    walk.submit(old=PASSWORD, new="four unrelated words here", again="four unrelated words here")
    assert heading(walk) == "My account"
    other = Walk(clinic.app.test_client(), clinic)
    other.open(clinic.url("home"))
    other.sign_in(person, "four unrelated words here")
    assert heading(other).startswith("Welcome")


def test_an_administrator_lets_people_in_and_shuts_them_out(clinic: Clinic, walk: Walk) -> None:
    clinic.settings(second_factor=False)
    admin = clinic.person("clinic_admin")
    walk.open(clinic.url("people"))
    walk.sign_in(admin)
    assert heading(walk) == "People of the clinic"
    walk.submit(username="new.nurse", name="A Nurse", role=["staff"], fhir_user="Practitioner/nurse")
    assert walk.page is not None
    password = re.search(r'<p class="code">([a-z0-9-]+)</p>', walk.page.text)
    assert password
    nurse = Walk(clinic.app.test_client(), clinic)
    nurse.open(clinic.url("home"))
    nurse.submit(username="new.nurse", password=password[1])
    assert heading(nurse) == "Choose a new password"
    person = People(clinic.app.database, QUICK).by_username(clinic.tenant.id, "new.nurse")
    assert person is not None
    assert person.roles == ("staff",)
    walk.open(clinic.url(f"people/{person.id}"))
    number = next(n for n, f in enumerate(forms(walk.page.text)) if ("do", "disable") in f.buttons)
    walk.submit(number, button="disable")
    assert "shut out" in walk.page.text
    nurse.open(clinic.url("home"))
    assert heading(nurse) == "Sign in"
    walk.open(clinic.url(f"people/{admin.id}"))
    number = next(n for n, f in enumerate(forms(walk.page.text)) if ("do", "disable") in f.buttons)
    walk.submit(number, button="disable")
    assert "This is yourself" in walk.page.text


def test_an_app_is_approved_used_and_stopped(clinic: Clinic, walk: Walk, new_api: object) -> None:
    clinic.settings(second_factor=False, registration="open")
    admin = clinic.person("clinic_admin")
    wanted = {
        "client_name": "Waiting room", "grant_types": ["client_credentials"], "scope": "system/Slot.rs",
    }  # fmt: skip
    assert clinic.app.test_client().post(clinic.url("auth/register"), json=wanted).status_code == 201
    walk.open(clinic.url("clients"))
    walk.sign_in(admin)
    walk.submit(button="approve")
    assert "may be used now" in walk.page.text  # type: ignore[union-attr]
    walk.submit(button="disable")
    assert "was stopped" in walk.page.text  # type: ignore[union-attr]


def test_access_is_withdrawn_at_once(clinic: Clinic, walk: Walk, new_api: object) -> None:
    api: Api = new_api(slug=clinic.tenant.slug)  # type: ignore[operator]
    api.put("Patient/p", {"resourceType": "Patient", "id": "p"})
    person = clinic.person("patient", "Patient/p")
    app = clinic.register()
    answer = app.granted(person, "offline_access launch/patient patient/Patient.rs")
    assert app.read("Patient/p", answer["access_token"]).status_code == 200
    walk.open(clinic.url("account"))
    walk.sign_in(person)
    assert "Growth Chart" in walk.page.text  # type: ignore[union-attr]
    number = next(n for n, f in enumerate(forms(walk.page.text)) if ("do", "withdraw") in f.buttons)  # type: ignore[union-attr]
    walk.submit(number, button="withdraw")
    assert "None at present" in walk.page.text  # type: ignore[union-attr]
    time.sleep(0.6)
    assert app.read("Patient/p", answer["access_token"]).status_code == 401
    assert app.refresh(answer["refresh_token"]).status_code == 400


def test_sessions_are_ended_from_elsewhere(clinic: Clinic, walk: Walk) -> None:
    clinic.settings(second_factor=False)
    person = clinic.person("staff")
    other = Walk(clinic.app.test_client(), clinic)
    for one in (walk, other):
        one.open(clinic.url("account"))
        one.sign_in(person)
    number = next(n for n, f in enumerate(forms(other.page.text)) if ("do", "end") in f.buttons)  # type: ignore[union-attr]
    other.submit(number, button="end")
    walk.open(clinic.url("account"))
    assert heading(walk) == "Sign in"
    assert heading(other) == "My account"


ROLES = ("clinic_admin", "executive", "physician", "staff", "billing", "attorney", "referring_doctor", "patient")
ALLOWED = {
    "clients": {"clinic_admin"},
    "people": {"clinic_admin"},
    "person": {"clinic_admin"},
    "launcher": set(ROLES) - {"executive", "patient"},
}
"""Who may see the pages that are not everybody's: said once more, apart from the map."""


@pytest.mark.parametrize("role", ROLES)
def test_each_page_is_for_those_it_is_for(clinic: Clinic, walk: Walk, role: str) -> None:
    clinic.settings(second_factor=False)
    person = clinic.person(role)
    for page in PAGES:
        path = clinic.url(page.path.strip("/").replace("<person>", person.id))
        if page.permission != "anyone":
            assert clinic.app.test_client().get(path).status_code == 303, f"{page.name} without a session"
    walk.open(clinic.url("home"))
    walk.sign_in(person)
    for page in PAGES:
        if page.name in ALLOWED:
            status = walk.open(clinic.url(page.path.strip("/").replace("<person>", person.id))).status_code
            assert status == (200 if role in ALLOWED[page.name] else 403), page.name


@pytest.mark.parametrize(("path", "title"), [("people/somebody", "People of the clinic"), ("messages/5", "Messages")])
def test_who_signs_in_for_one_of_many_comes_to_the_list_of_them(
    clinic: Clinic, walk: Walk, path: str, title: str
) -> None:
    clinic.settings(second_factor=False)
    walk.open(clinic.url(path))
    walk.sign_in(clinic.person("clinic_admin"))
    assert heading(walk) == title


class _Accessible(HTMLParser):
    """What every page needs for those who do not see it. https://www.w3.org/TR/WCAG22/"""

    def __init__(self) -> None:
        super().__init__()
        self.labels: set[str] = set()
        self.inputs: list[str] = []
        self.seen: set[str] = set()
        self.scripts: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.seen.add(tag)
        if tag == "label" and values.get("for"):
            self.labels.add(values["for"] or "")
        if tag == "input" and values.get("type") not in ("hidden", "checkbox", "radio"):
            self.inputs.append(values.get("id") or "")
        if tag == "html":
            assert values.get("lang") == "en"
        if tag == "script":
            self.scripts.append(values)
        assert not [name for name in values if name.startswith("on") or name == "style"], "the policy forbids it"


def test_pages_can_be_used_without_eyes_and_without_scripts(clinic: Clinic, walk: Walk) -> None:
    clinic.settings(second_factor=False)
    pages = [walk.open(clinic.url("sign-in"))]
    walk.sign_in(clinic.person("clinic_admin"))
    pages += [walk.open(clinic.url(path)) for path in ("home", "account", "account/second-factor", "people", "clients")]
    pages.append(walk.open(clinic.url("launcher")))
    for page in pages:
        parsed = _Accessible()
        parsed.feed(page.text)
        assert {"main", "h1", "title", "header"} <= parsed.seen, page.request.path
        assert set(parsed.inputs) <= parsed.labels, page.request.path
        assert all(script.get("src") for script in parsed.scripts)


def test_a_step_of_no_request_says_so(clinic: Clinic, walk: Walk) -> None:
    clinic.settings(second_factor=False)
    walk.open(clinic.url("home"))
    walk.sign_in(clinic.person("staff"))
    for path in ("consent", "patients/choose", "consent?request=" + "a" * 43):
        assert walk.open(clinic.url(path)).status_code == 410
        assert heading(walk) == "This request is over"
