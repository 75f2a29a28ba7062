"""Sign-in with a user name and a password. https://pages.nist.gov/800-63-4/sp800-63b.html"""

from __future__ import annotations

from flask import Response

from fhir_server.audit import event as events
from fhir_server.authn.people import username_of
from fhir_server.console import flow
from fhir_server.console.visit import Visit

_REFUSED = "The user name or the password is not right."
"""The same whether there is such a person or not, whether they are shut out or have mistyped."""


def view(visit: Visit) -> Response:
    """GET and POST /t/{slug}/sign-in"""
    if visit.posted:
        return _post(visit)
    if visit.session is not None and not flow.must_sign_in_again(visit):
        return visit.onward()
    return _form(visit)


def _post(visit: Visit) -> Response:
    username, password = visit.value("username", 200).strip(), visit.value("password")
    missing = [
        (name, text)
        for name, given, text in (
            ("username", username, "Type your user name."),
            ("password", password, "Type your password."),
        )
        if not given
    ]
    if missing:
        return _form(visit, missing, username)
    result = visit.services.sign_in.password(visit.tenant.id, username, password, visit.address)
    if result.person is None:
        visit.person = None
        # What nobody is called may be a password that was typed into the wrong field.
        named = {} if result.reason == "unknown" else {"username": username_of(username)}
        visit.record("login", outcome=events.REFUSED, status=403, reason=result.reason, detail=named)
        if result.wait_seconds:
            minutes = -(-result.wait_seconds // 60)
            text = f"There were too many attempts. Try again in {minutes} minute{'s' if minutes > 1 else ''}."
            response = _form(visit, [("", text)], username, 429)
            response.headers["Retry-After"] = str(result.wait_seconds)
            return response
        return _form(visit, [("username", _REFUSED)], username)
    visit.begin_session(result.person, ("password",))
    visit.record("login", detail={"methods": ["password"]})
    return visit.onward()


def _form(
    visit: Visit, problems: list[tuple[str, str]] | None = None, username: str = "", status: int = 200
) -> Response:
    upstream = visit.settings.upstream
    return visit.render(
        "sign_in.html",
        status,
        problems or (),
        username=username,
        then=visit.then,
        provider=visit.clinic if upstream else "",
    )
