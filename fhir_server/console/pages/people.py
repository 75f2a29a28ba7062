"""The people of a clinic: its administrator lets them in. docs/people.md"""

from __future__ import annotations

from collections.abc import Mapping

from flask import Response

from fhir_server.authn import passwords
from fhir_server.console.people_shown import all_roles, shown
from fhir_server.console.role_words import GIVEN_BY_CLINICS
from fhir_server.console.visit import Problems, Visit
from fhir_server.errors import FhirError


def view(visit: Visit) -> Response:
    """GET and POST /t/{slug}/people"""
    if not visit.posted:
        return _page(visit)
    username, name = visit.value("username", 200).strip(), visit.value("name", 200).strip()
    roles = [role for role in visit.request.form.getlist("role") if role in GIVEN_BY_CLINICS]
    fhir_user = visit.value("fhir_user", 100).strip()
    given = {"username": username, "name": name, "roles": roles, "fhir_user": fhir_user}
    problems = []
    if not username:
        problems.append(("username", "Type a user name."))
    if not roles:
        problems.append(("roles", "Tick at least one role."))
    if problems:
        return _page(visit, problems, given)
    password = passwords.random_password()
    try:
        person = visit.services.people.create(
            visit.tenant.id,
            username=username,
            name=name,
            roles=roles,
            fhir_user=fhir_user,
            password=password,
            must_change_password=True,
        )
    except FhirError as error:
        return _page(visit, [("username", error.issues[0].diagnostics)], given)
    visit.record("people", detail={"did": "created", "person": person.id, "roles": list(person.roles)})
    return _page(visit, once={"username": person.username, "password": password})


def _page(
    visit: Visit,
    problems: Problems = (),
    given: Mapping[str, object] | None = None,
    once: dict[str, str] | None = None,
) -> Response:
    return visit.render(
        "people.html",
        problems=problems,
        people=[shown(person) for person in visit.services.people.listed(visit.tenant.id)],
        all_roles=all_roles(),
        new=given or {"username": "", "name": "", "roles": [], "fhir_user": ""},
        roles_wrong=next((text for field, text in problems if field == "roles"), ""),
        once=once,
        done="",
    )
