"""One request for a page: who asks, in which clinic, as part of which app's request for access. docs/pages.md"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from flask import Request, Response, render_template

from fhir_server.audit import event as events
from fhir_server.audit.event import Event
from fhir_server.authn.clinic_settings import ClinicSettings
from fhir_server.authn.people import Person
from fhir_server.authn.sessions import Session
from fhir_server.console.cookies import Jar
from fhir_server.console.forgery import form_token
from fhir_server.console.headers import form_target
from fhir_server.console.services import Services
from fhir_server.smart import granting
from fhir_server.smart.errors import RedirectError
from fhir_server.smart.pending import PendingRequest
from fhir_server.smart.services import Clinic
from fhir_server.store.directory import Entry

Problems = Sequence[tuple[str, str]]
"""What is wrong with a form: the field's name or "" and a sentence."""

STEPS = frozenset(
    (
        "sign-in",
        "sign-in-provider",
        "second-factor",
        "enrol",
        "recovery-codes",
        "new-password",
        "choose-patient",
        "consent",
        "resume",
    )
)
"""The pages that an app's request for access can pass through."""


@dataclass(slots=True)
class Visit:
    """What a page's view is given. ``paths`` are the paths of all pages by name, ``page`` the name of this one.

    ``session`` and ``person`` are None before sign-in. ``cookie`` is the cookie that forms are bound to; ``renewed`` is
    the session's new cookie where this visit has begun or changed one. ``values`` are parts of the path. ``pending`` is
    the app's request for access that this visit is part of, named by ``request`` in the URL.
    """

    services: Services
    paths: dict[str, str]
    page: str
    tenant: Entry
    slug: str
    request: Request
    jar: Jar
    cookie: str
    settings: ClinicSettings
    session_cookie: str = ""
    session: Session | None = None
    person: Person | None = None
    menu: Sequence[tuple[str, str]] = ()
    pending: PendingRequest | None = None
    form_targets: list[str] = field(default_factory=list)
    renewed: str = ""
    values: dict[str, str] = field(default_factory=dict)
    ended: bool = False

    @property
    def clinic(self) -> str:
        """The clinic's name, for people."""
        return self.tenant.name or self.slug

    @property
    def server(self) -> Clinic:
        """The clinic's authorization server."""
        return Clinic(self.services.smart, self.tenant, self.slug)

    @property
    def posted(self) -> bool:
        """Whether a form was sent."""
        return self.request.method == "POST"

    @property
    def address(self) -> str:
        """The network address that the request came from."""
        return self.request.remote_addr or ""

    @property
    def user_agent(self) -> str:
        """What the browser calls itself."""
        return self.request.headers.get("User-Agent", "")[:300]

    @property
    def somebody(self) -> Person:
        """The person, on pages that are for people who have signed in."""
        if self.person is None:
            raise LookupError(f"the page {self.page} is shown to nobody in particular")
        return self.person

    @property
    def current(self) -> Session:
        """The session, on pages that are for people who have signed in."""
        if self.session is None:
            raise LookupError(f"the page {self.page} is shown without a session")
        return self.session

    @property
    def then(self) -> str:
        """The page to go to once signed in: one of ours, by its name; of a page for one of many, the list of them."""
        name = self.request.args.get("then", "")
        if name not in self.paths or name in STEPS:
            return "home"
        above, parameter, _ = self.paths[name].partition("/<")
        return name if not parameter else next((one for one, path in self.paths.items() if path == above), "home")

    def value(self, name: str, longest: int = 1000) -> str:
        """A field of the form, "" where it was not sent or is too long to be meant."""
        text = self.request.form.get(name, "")
        return text if len(text) <= longest and "\0" not in text else ""

    def to(self, page: str, **query: str) -> str:
        """The URL path of a page, in the same app's request for access where it is a step of it."""
        if self.pending is not None and page in STEPS:
            query = {"request": self.pending.handle} | {name: text for name, text in query.items() if name != "then"}
        path = f"/t/{self.slug}{self.paths[page]}"
        for name in list(query):
            if f"<{name}>" in path:
                path = path.replace(f"<{name}>", query.pop(name))
        return f"{path}?{urlencode(query)}" if query else path

    def render(self, template: str, status: int = 200, problems: Problems = (), **values: Any) -> Response:
        """A page from a template. The forms of an app's request may lead back to the app."""
        if self.pending is not None and (target := form_target(self.pending.request.redirect_uri)):
            self.form_targets.append(target)
        person = self.person
        text = render_template(
            template,
            clinic=self.clinic,
            here=self.page,
            menu=self.menu if self.pending is None else (),
            signed_in_as=person.name or person.username if person is not None else "",
            to=self.to,
            token=form_token(self.renewed or self.cookie),
            problems=list(problems),
            assets_version=self.services.assets_version,
            app_name=self.pending.request.client_name if self.pending is not None else "",
            **values,
        )
        return Response(text, 400 if problems and status == 200 else status, mimetype="text/html")

    def problem(self, status: int, heading: str, *sentences: str, hint: str = "", back: str = "home") -> Response:
        """A page that says why there is nothing else to see, and what to do."""
        label = {"home": "Go to the start page", "sign-in": "Sign in"}.get(back, "Back")
        return self.render(
            "problem.html", status, heading=heading, sentences=sentences, hint=hint, back=back, back_label=label
        )

    def redirect(self, page: str, **query: str) -> Response:
        """Go on to another page by GET. https://www.rfc-editor.org/rfc/rfc9110#status.303"""
        return see_other(self.to(page, **query))

    def onward(self) -> Response:
        """Go on with what the person came for: the app's request, or the page that asked them to sign in."""
        return self.redirect("resume") if self.pending is not None else self.redirect(self.then)

    def leave(self, url: str, heading: str) -> Response:
        """Go on to an app.

        Not by a redirect, which Chromium holds against form-action all the way, also where the app redirects on.
        """
        return self.render("onward.html", heading=heading, url=url)

    def refuse(self, error: str, description: str) -> Response:
        """End the app's request and tell it so."""
        pending = self.pending
        if pending is None:
            raise LookupError(f"the page {self.page} is shown without an app's request")
        refusal = RedirectError(pending.request, error, description)
        self.services.smart.pending.end(self.tenant.id, pending.handle)
        self.record("consent", outcome=events.REFUSED, status=403, client_id=pending.request.client_id, reason=error)
        url = granting.refused(self.server.places, refusal)
        if pending.request.prompt == "none":
            return see_other(url)
        return self.leave(url, f"Going back to {pending.request.client_name}")

    def choose_patient(self, patient: str) -> None:
        """Have the app's request be about this patient, where it is about nobody yet."""
        if patient and self.pending is not None and not self.pending.patient:
            self.services.smart.pending.choose(self.tenant.id, self.pending.handle, patient)
            self.pending = replace(self.pending, patient=patient)

    def begin_session(self, person: Person, methods: tuple[str, ...]) -> None:
        """Sign a person in with a new session; an old one of this browser ends."""
        sessions = self.services.sessions
        if self.session is not None:
            sessions.revoke(self.tenant.id, self.session.person_id, self.session.id)
        cookie = sessions.create(self.tenant.id, person.id, methods, self.address, self.user_agent, self.settings)
        self._renew(person, cookie)

    def add_method(self, method: str) -> None:
        """Note that the person has passed another step of signing in; the cookie becomes another."""
        cookie = self.services.sessions.add_method(self.tenant.id, self.session_cookie, method)
        self._renew(self.somebody, cookie)

    def _renew(self, person: Person, cookie: str) -> None:
        self.renewed = self.session_cookie = self.cookie = cookie
        self.person = person
        self.session = self.services.sessions.find(self.tenant.id, cookie, self.settings)

    def end_session(self) -> None:
        """Sign the person out of this browser."""
        if self.session is not None:
            self.services.sessions.revoke(self.tenant.id, self.session.person_id, self.session.id)
        self.session = self.person = None
        self.ended = True

    def keep(self, **values: Any) -> None:
        """Keep values until the person's next step; None forgets one."""
        state = {name: value for name, value in (self.current.state | values).items() if value is not None}
        self.services.sessions.set_state(self.tenant.id, self.session_cookie, state)

    def record(self, kind: str, *, outcome: str = events.SUCCESS, status: int = 200, **values: Any) -> None:
        """Leave a record in the clinic's audit trail. Raises Unavailable, and then the answer must not be given."""
        self.services.trail.record(self.event(kind, outcome=outcome, status=status, **values))

    def event(self, kind: str, *, outcome: str = events.SUCCESS, status: int = 200, **values: Any) -> Event:
        """What the person does at this page, as the audit trail keeps it."""
        at = events.now()
        person = self.person
        agent: dict[str, Any] = {}
        if person is not None:
            agent = {"subject": person.id, "roles": person.roles, "fhir_user": person.fhir_user}
        return Event(
            id=events.new_id(at),
            tenant_id=self.tenant.id,
            at=at,
            kind=kind,
            outcome=outcome,
            status=status,
            address=self.address,
            **(agent | values),
        )


def see_other(url: str) -> Response:
    """Go on by GET; nothing of this page stays in a cache."""
    return Response("", 303, {"Location": url}, mimetype="text/plain")
