"""A person with a browser and an app that asks for access, in process. https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html"""

from __future__ import annotations

import hashlib
import re
import secrets
from base64 import b64encode, urlsafe_b64encode
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from argon2 import PasswordHasher
from werkzeug.test import Client as Browser
from werkzeug.test import TestResponse

from fhir_server.app import FhirServer
from fhir_server.authn import clinic_settings
from fhir_server.authn.passwords import Passwords
from fhir_server.authn.people import People, Person
from fhir_server.smart import clients
from fhir_server.store.tenants import Tenant

PASSWORD = "correct horse battery staple"
CALLBACK = "https://app.example.org/callback"
QUICK = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
LAUNCH = "https://app.example.org/launch"


@dataclass
class Clinic:
    """A clinic with people and apps."""

    app: FhirServer
    tenant: Tenant
    made: dict[str, Person] = field(default_factory=dict)

    @property
    def base(self) -> str:
        """Its FHIR base URL."""
        return f"http://localhost:8080/t/{self.tenant.slug}/fhir"

    def url(self, path: str) -> str:
        """A path of the clinic."""
        return f"/t/{self.tenant.slug}/{path}"

    def person(self, role: str, fhir_user: str = "", username: str = "", **more: Any) -> Person:
        """Somebody who can sign in with PASSWORD."""
        people = People(self.app.database, QUICK)
        name = username or f"{role.replace('_', '-')}-{secrets.token_hex(3)}"
        return people.create(
            self.tenant.id,
            username=name,
            name=f"The {role}",
            roles=[role],
            fhir_user=fhir_user,
            password=PASSWORD,
            **more,
        )

    def settings(self, **changes: Any) -> None:
        """Set what the clinic decides."""
        clinic_settings.write(self.app.database, self.tenant.id, changes)

    def register(self, method: str = "none", scope: str = "", **metadata: Any) -> App:
        """An app that somebody of the clinic has let in."""
        grants = ["authorization_code", "refresh_token"]
        told = {
            "client_name": "Growth Chart",
            "redirect_uris": [CALLBACK],
            "grant_types": grants,
            "token_endpoint_auth_method": method,
            "scope": scope,
            "initiate_login_uri": LAUNCH,
        } | metadata
        registered = clients.create(self.app.database, self.tenant.id, told, "tests")
        return App(self, registered.client.id, registered.client_secret)


@dataclass
class App:
    """An app's side of the flow."""

    clinic: Clinic
    client_id: str
    secret: str = ""
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    state: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    assertion: Any = None

    def parameters(self, scope: str, /, **changes: str | None) -> dict[str, str]:
        """The parameters of an authorization request; None leaves one out."""
        challenge = urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        values: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": CALLBACK,
            "scope": scope,
            "state": self.state,
            "aud": self.clinic.base,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return {name: value for name, value in (values | changes).items() if value is not None}

    def token(self, path: str = "auth/token", **form: str | None) -> TestResponse:
        """POST a form to an endpoint, with the app's credentials."""
        headers = {}
        values = {name: value for name, value in form.items() if value is not None}
        if self.assertion is not None:
            values |= {
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": self.assertion(),
            }
        elif self.secret:
            headers["Authorization"] = "Basic " + b64encode(f"{self.client_id}:{self.secret}".encode()).decode()
        else:
            values.setdefault("client_id", self.client_id)
        return self.clinic.app.test_client().post(self.clinic.url(path), data=values, headers=headers)

    def redeem(self, code: str, **changes: str | None) -> TestResponse:
        """Take up a code."""
        form: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": self.verifier,
        }
        return self.token(**(form | changes))

    def refresh(self, refresh_token: str, **form: str) -> TestResponse:
        """Ask for the next access_token."""
        return self.token(grant_type="refresh_token", refresh_token=refresh_token, **form)

    def read(self, path: str, access_token: str) -> TestResponse:
        """GET [base]/path with an access_token."""
        headers = {"Authorization": f"Bearer {access_token}"} if access_token else {}
        return self.clinic.app.test_client().get(self.clinic.url(f"fhir/{path}"), headers=headers)

    def granted(self, person: Person, scope: str, **more: Any) -> dict[str, Any]:
        """The answer of the token endpoint after a person has allowed everything."""
        walk = Walk(self.clinic.app.test_client(), self.clinic)
        code = walk.through(self, person, scope, **more)["code"]
        response = self.redeem(code)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json or {}
        return answer


@dataclass
class Form:
    """A form of a page: where it goes, and its fields as a browser would send them."""

    action: str
    fields: list[tuple[str, str]]
    buttons: list[tuple[str, str]]


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._open: Form | None = None
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = Form(values.get("action", ""), [], [])
            self.forms.append(self._open)
        elif self._open is not None and tag == "input" and values.get("name"):
            kind = values.get("type", "text")
            if kind not in ("checkbox", "radio") or "checked" in values:
                self._open.fields.append((values["name"], values.get("value", "on" if kind == "checkbox" else "")))
        elif self._open is not None and tag == "button" and values.get("name"):
            self._open.buttons.append((values["name"], values.get("value", "")))
        elif self._open is not None and tag == "select":
            self._select = values.get("name", "")
        elif self._open is not None and tag == "option" and self._select:
            self._open.fields.append((self._select, values.get("value", "")))
            self._select = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None


def forms(page: str) -> list[Form]:
    """The forms of a page."""
    parser = _Forms()
    parser.feed(page)
    return parser.forms


@dataclass
class Walk:
    """A person's way through the pages, with the cookies of one browser."""

    browser: Browser
    clinic: Clinic
    page: TestResponse | None = None

    def open(self, path: str, **query: str) -> TestResponse:
        """GET a page, and follow where it leads within the server."""
        self.page = self._follow(self.browser.get(path, query_string=query or None))
        return self.page

    def post(self, path: str, **form: str) -> TestResponse:
        """POST as another site's page would, and follow."""
        self.page = self._follow(self.browser.post(path, data=form))
        return self.page

    def submit(
        self, number: int = 0, button: str = "", without: tuple[str, ...] = (), **values: str | list[str]
    ) -> TestResponse:
        """Send a form of the present page, with these values in place of what stands in it, and follow."""
        assert self.page is not None
        form = forms(self.page.text)[number]
        given = [pair for pair in form.fields if pair[0] not in values and pair[0] not in without]
        for name, value in values.items():
            given += [(name, one) for one in ([value] if isinstance(value, str) else value)]
        if button:
            given.append(next(pair for pair in form.buttons if pair[1] == button))
        self.page = self._follow(self.browser.post(form.action or self.page.request.path, data=_multi(given)))
        return self.page

    def _follow(self, response: TestResponse) -> TestResponse:
        for _ in range(10):
            where = response.headers.get("Location", "")
            if response.status_code not in (302, 303) or not where.startswith("/t/"):
                return response
            response = self.browser.get(where)
        raise AssertionError("redirected in circles")

    def sign_in(self, person: Person, password: str = PASSWORD) -> TestResponse:
        """Fill in the sign-in page."""
        return self.submit(username=person.username, password=password)

    def left(self) -> dict[str, str]:
        """The parameters with which the browser goes back to the app: by a redirect, or from the page that leads on."""
        assert self.page is not None
        where = self.page.headers.get("Location", "")
        if not where:
            found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', self.page.text)
            assert found, self.page.text
            where = unescape(found[1])
        assert where.startswith(CALLBACK), where
        return dict(parse_qsl(urlsplit(where).query))

    def through(
        self, app: App, person: Person, scope: str, *, patient: str = "", method: str = "GET", **changes: str | None
    ) -> dict[str, str]:
        """The whole way, everything allowed; the answer is what the app gets to know."""
        parameters = app.parameters(scope, **changes)
        path = self.clinic.url("auth/authorize")
        self.open(path, **parameters) if method == "GET" else self.post(path, **parameters)
        assert self.page is not None
        if "<h1>Sign in</h1>" in self.page.text:
            self.sign_in(person)
        if "<h1>Choose a patient</h1>" in self.page.text:
            self.choose(patient)
        assert "to use" in self.page.text, self.page.text
        self.submit(button="allow")
        return self.left()

    def choose(self, patient: str) -> TestResponse:
        """Pick a patient."""
        assert self.page is not None
        for number, form in enumerate(forms(self.page.text)):
            if ("patient", patient) in form.buttons:
                return self.submit(number, button=patient)
        raise AssertionError(f"patient {patient} is not offered")


def _multi(pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return values


def query_of(url: str) -> dict[str, list[str]]:
    """The parameters of a URL."""
    return parse_qs(urlsplit(url).query)
