"""Somebody of a clinic in front of the pages for messages, in process."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from typing import Any

from fhir_server.audit import event as events
from fhir_server.audit.event import Event
from fhir_server.authn.people import Person
from fhir_server.store import audit
from tests.functional.conftest import Api
from tests.functional.smart_flow import Clinic, Walk, forms


@dataclass
class Screen:
    """What somebody sees, and the forms that they send."""

    clinic: Clinic
    person: Person
    walk: Walk

    @classmethod
    def of(cls, clinic: Clinic, role: str) -> Screen:
        """Somebody of a role, signed in."""
        person = clinic.person(role)
        walk = Walk(clinic.app.test_client(), clinic)
        walk.open(clinic.url("home"))
        walk.sign_in(person)
        return cls(clinic, person, walk)

    @property
    def html(self) -> str:
        """The page."""
        assert self.walk.page is not None
        return self.walk.page.text

    @property
    def text(self) -> str:
        """What it says, without its tags."""
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", self.html)).split())

    @property
    def status(self) -> int:
        """The HTTP status."""
        assert self.walk.page is not None
        return self.walk.page.status_code

    @property
    def url(self) -> str:
        """Its path and query."""
        assert self.walk.page is not None
        return self.walk.page.request.full_path.rstrip("?")

    @property
    def numbers(self) -> list[int]:
        """The messages that a list names, in their order."""
        return [int(number) for number in re.findall(r'<th [^>]+><a href="[^"]+/messages/(\d+)"', self.html)]

    def open(self, path: str, **query: str) -> None:
        """GET a page of the clinic."""
        self.walk.open(self.clinic.url(path), **query)

    def press(self, button: str, **values: Any) -> None:
        """Send the form that has this button."""
        found = enumerate(forms(self.html))
        number = next(n for n, form in found if button in {value for _, value in form.buttons})
        if "text" not in values and 'name="text"' in self.html and button in ("preview", "replay"):
            values["text"] = self.field("text")
        self.walk.submit(number, button, **values)

    def post(self, path: str, **values: Any) -> None:
        """Send a form that the page may not have, with the token of one that it has."""
        self.open("account")
        token = re.search(r'name="form_token" value="([^"]+)"', self.html)
        assert token is not None
        self.walk.post(self.clinic.url(path), form_token=token[1], **values)

    def field(self, name: str) -> str:
        """What stands in a text area, as a browser has it."""
        found = re.search(rf'<textarea id="{name}"[^>]*>\n(.*?)</textarea>', self.html, re.S)
        assert found is not None
        return unescape(found[1])

    def trail(self, kind: str) -> list[Event]:
        """The clinic's records of a kind, the oldest first."""
        self.clinic.app.trail.flush()
        found = audit.walk(self.clinic.app.database, self.clinic.tenant.id, 0, 10_000)
        return [events.decode(link.record) for link in found if link.kind == kind]

    def api(self, access_token: Any) -> Api:
        """Somebody who may see the trail."""
        slug = self.clinic.tenant.slug
        return Api(self.clinic.app, slug, access_token(slug))
