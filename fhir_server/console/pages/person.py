"""One person of a clinic: roles, a new password, shutting them out. docs/people.md"""

from __future__ import annotations

from flask import Response

from fhir_server.authn import passwords
from fhir_server.authn.people import Person
from fhir_server.console.people_shown import all_roles, shown
from fhir_server.console.role_words import GIVEN_BY_CLINICS
from fhir_server.console.visit import Problems, Visit

_DONE = {
    "roles": "The roles were changed. What was given to this person before is void.",
    "disable": "This person is shut out: sessions and apps have ended.",
    "enable": "This person can sign in again.",
    "factors": "The second steps were removed; they are set up anew at the next sign-in.",
}


def view(visit: Visit) -> Response:
    """GET and POST /t/{slug}/people/{id}"""
    person = visit.services.people.find(visit.tenant.id, visit.values.get("person", ""))
    if person is None:
        return visit.problem(404, "There is no such person", "They are not among the people of this clinic.")
    if not visit.posted:
        return _page(visit, person)
    do = visit.value("do", 20)
    if person.id == visit.somebody.id and do in ("roles", "disable", "password"):
        return _page(visit, person, [("", "This is yourself: have another administrator do it.")])
    people, once = visit.services.people, ""
    match do:
        case "roles":
            roles = [role for role in visit.request.form.getlist("role") if role in GIVEN_BY_CLINICS]
            if not roles:
                return _page(visit, person, [("roles", "Tick at least one role.")])
            person = people.change(visit.tenant.id, person.id, roles=roles)
        case "disable" | "enable":
            person = people.change(visit.tenant.id, person.id, disabled=do == "disable")
        case "password":
            once = passwords.random_password()
            person = people.set_password(visit.tenant.id, person.id, once, must_change_password=True)
        case "factors":
            visit.services.factors.remove_all(visit.tenant.id, person.id)
            visit.services.sessions.revoke_all(visit.tenant.id, person.id)
        case _:
            return _page(visit, person)
    visit.record("people", detail={"did": do, "person": person.id, "roles": list(person.roles)})
    return _page(visit, person, once=once, done=_DONE.get(do, ""))


def _page(visit: Visit, person: Person, problems: Problems = (), once: str = "", done: str = "") -> Response:
    return visit.render(
        "person.html", problems=problems, one=shown(person), all_roles=all_roles(), once=once, done=done
    )
