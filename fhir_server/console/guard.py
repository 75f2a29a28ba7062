"""Who is it, and may they see this page? Everything that refuses a page stands here. docs/pages.md"""

from __future__ import annotations

from flask import Response

from fhir_server.audit import event as events
from fhir_server.authn import second_factors
from fhir_server.console.page import ANYONE, PASSWORD_GIVEN, SIGNED_IN, Page
from fhir_server.console.visit import Visit

SECOND = frozenset(("totp", "webauthn", "recovery", "upstream-mfa"))
"""Methods of signing in that are a second factor."""


def identify(visit: Visit, cookie: str) -> None:
    """Find the session of the browser and the person it is of. Raises Unavailable."""
    if not cookie:
        return
    session = visit.services.sessions.find(visit.tenant.id, cookie, visit.settings)
    if session is None:
        return
    person = visit.services.people.find(visit.tenant.id, session.person_id)
    if person is None or person.disabled:
        return
    visit.session, visit.person, visit.session_cookie = session, person, cookie


def refusal(visit: Visit, page: Page) -> Response | None:
    """What is answered instead of the page; None where the page may be seen."""
    if page.permission == ANYONE:
        return None
    if visit.person is None:
        return visit.redirect("sign-in", then=visit.page)
    if page.permission == PASSWORD_GIVEN:
        return None
    step = unfinished(visit)
    if step:
        return visit.redirect(step, then=visit.page)
    services, roles, narrowed = visit.services, visit.person.roles, visit.settings.narrowed
    visit.menu = services.menu(roles, narrowed)
    if page.permission != SIGNED_IN and not services.permits(roles, page.permission, narrowed):
        visit.record("refused", outcome=events.REFUSED, status=403, reason=f"the page {page.name} of the clinic")
        return visit.problem(
            403, "You do not have access to this", "Your role at the clinic does not include this page."
        )
    return None


def unfinished(visit: Visit) -> str:
    """The page that a sign-in must pass yet: second-factor, enrol or new-password; "" for none."""
    person, session = visit.person, visit.session
    if person is None or session is None:
        return "sign-in"
    if not set(session.methods) & SECOND:
        # Who has a second factor shows it, whether or not the clinic asks for one.
        if visit.services.factors.enrolled(visit.tenant.id, person.id):
            return "second-factor"
        if second_factors.needed(person, visit.settings):
            return "enrol"
    if person.must_change_password:
        return "new-password"
    return ""
