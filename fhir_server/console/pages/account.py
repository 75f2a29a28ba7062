"""A person's own account: sessions, second factors, and the apps that they have given access. docs/people.md"""

from __future__ import annotations

from typing import Any

from flask import Response

from fhir_server.audit.event import now
from fhir_server.console import scope_words
from fhir_server.console.recovery_codes_page import recovery_codes_page
from fhir_server.console.role_words import words
from fhir_server.console.times import browser, shown_at
from fhir_server.console.visit import Problems, Visit
from fhir_server.smart import issuing, scopes
from fhir_server.store import oauth_grants


def view(visit: Visit) -> Response:
    """GET and POST /t/{slug}/account"""
    if not visit.posted:
        return _page(visit)
    person, tenant = visit.somebody, visit.tenant.id
    match visit.value("do", 20):
        case "withdraw":
            return _withdraw(visit, visit.value("grant", 64))
        case "end":
            if visit.services.sessions.revoke(tenant, person.id, visit.value("session", 64)):
                visit.record("logout", detail={"session": visit.value("session", 64)})
                return _page(visit, done="That browser is signed out.")
            return _page(visit, [("", "That session has ended already.")])
        case "end-all":
            ended = visit.services.sessions.revoke_all(tenant, person.id, but=visit.current.id)
            visit.record("logout", detail={"sessions": ended})
            visit.end_session()
            return visit.redirect("sign-out")
        case "remove":
            return _remove(visit, visit.value("factor", 200))
        case "codes":
            if visit.services.factors.enrolled(tenant, person.id):
                return recovery_codes_page(visit)
            return _page(visit)
        case _:
            return _page(visit)


def _remove(visit: Visit, factor_id: str) -> Response:
    person, tenant = visit.somebody, visit.tenant.id
    if not visit.services.factors.remove(tenant, person.id, factor_id):
        return _page(visit, [("", "That was removed already.")])
    visit.record("people", detail={"did": "removed a second factor"})
    return _page(visit, done="It was removed.")


def _withdraw(visit: Visit, grant_id: str) -> Response:
    database, tenant, person = visit.services.database, visit.tenant.id, visit.somebody
    grant = database.transaction(tenant, lambda c: oauth_grants.find(c, tenant, grant_id))
    if grant is None or grant.person_id != person.id:
        return _page(visit, [("", "That access was withdrawn already.")])
    visit.record("consent", client_id=grant.client_id, grant=grant.id, detail={"withdrawn": grant.scope})
    database.transaction(tenant, lambda c: oauth_grants.revoke(c, tenant, grant.id, now()))
    return _page(visit, done="The access was withdrawn, everywhere and at once.")


def _page(visit: Visit, problems: Problems = (), done: str = "") -> Response:
    person = visit.somebody
    return visit.render(
        "account.html",
        problems=problems,
        done=done,
        person=person,
        roles=words(person.roles),
        own_password=person.has_password,
        grants=_grants(visit),
        factors=[
            {"id": one.id, "title": one.name, "since": shown_at(one.created)}
            for one in visit.services.factors.enrolled(visit.tenant.id, person.id)
        ],
        recovery_left=visit.services.recovery.left(visit.tenant.id, person.id),
        sessions=_sessions(visit),
    )


def _grants(visit: Visit) -> list[dict[str, Any]]:
    database, tenant, person = visit.services.database, visit.tenant.id, visit.somebody
    rows = database.transaction(tenant, lambda c: oauth_grants.of_person(c, tenant, person.id, now()))
    return [
        {
            "id": grant.id,
            "client_name": name,
            "offline": scopes.OFFLINE in grant.scope.split(),
            "created": shown_at(grant.created),
            "last_used": shown_at(used) if used and used != grant.created else "",
            "may": [_may(text) for text in issuing.scope_of(grant, person).split() if scopes.one(text) is not None],
        }
        for grant, name, used in rows
    ]


def _may(text: str) -> str:
    return f"{scope_words.title(text)}: {scope_words.actions(text)}"


def _sessions(visit: Visit) -> list[dict[str, Any]]:
    listed = visit.services.sessions.listed(visit.tenant.id, visit.somebody.id, visit.settings)
    return [
        {
            "id": one.id,
            "browser": browser(one.user_agent),
            "address": one.address,
            "created": shown_at(one.created),
            "last_seen": shown_at(one.seen),
            "current": one.id == visit.current.id,
        }
        for one in listed
    ]
