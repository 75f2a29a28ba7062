"""A new password: instead of one that was given for one sign-in, or because the person wants one.
https://pages.nist.gov/800-63-4/sp800-63b.html#passwordver"""

from __future__ import annotations

from flask import Response

from fhir_server.authn import passwords
from fhir_server.console.visit import Visit


def view(visit: Visit) -> Response:
    """GET and POST /t/{slug}/new-password"""
    if not visit.posted:
        return _form(visit)
    person = visit.somebody
    old, new, again = visit.value("old"), visit.value("new"), visit.value("again")
    problems = _problems(visit, old, new, again)
    if problems:
        return _form(visit, problems)
    outcome = visit.services.sign_in.password(visit.tenant.id, person.username, old, visit.address)
    if outcome.person is None:
        visit.record("people", outcome="4", status=403, detail={"did": "failed to change their password"})
        wait = f" Try again in {outcome.wait_seconds} seconds." if outcome.wait_seconds else ""
        return _form(visit, [("old", f"This is not the password that you have now.{wait}")])
    visit.record("people", detail={"did": "changed their password"})
    methods = visit.current.methods
    # The old password opened other sessions: they end with it, and this one goes on under another cookie.
    changed = visit.services.people.set_password(visit.tenant.id, person.id, new)
    visit.session = None
    visit.begin_session(changed, methods)
    return visit.onward()


def _problems(visit: Visit, old: str, new: str, again: str) -> list[tuple[str, str]]:
    problems = []
    if not old:
        problems.append(("old", "Type the password that you have now."))
    person = visit.somebody
    if not new:
        problems.append(("new", "Type a new password."))
    elif weak := passwords.weakness(new, person.username, *person.name.split(), visit.slug, *visit.clinic.split()):
        problems.append(("new", weak))
    elif new == old:
        problems.append(("new", "The new password is the old one."))
    elif new != again:
        problems.append(("again", "The two new passwords differ."))
    return problems


def _form(visit: Visit, problems: list[tuple[str, str]] | None = None) -> Response:
    forced = visit.somebody.must_change_password
    return visit.render("new_password.html", problems=problems or (), forced=forced, then=visit.then)
