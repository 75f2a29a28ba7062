"""What an app asks for, for the person to decide. https://hl7.org/fhir/smart-app-launch/STU2.2/best-practices.html"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from flask import Response

from fhir_server.access.scopes import parse
from fhir_server.console import flow, patients, scope_words
from fhir_server.console.visit import Visit
from fhir_server.smart import granting
from fhir_server.smart.scopes import Offered


def view(visit: Visit) -> Response:
    """GET and POST /t/{slug}/consent"""
    pending = flow.pending_of(visit)
    if flow.next_page(visit) != "consent":
        return visit.redirect("resume")
    visit.choose_patient(flow.patient_of(visit))
    offered, beyond = granting.offered(visit.server, pending, visit.somebody)
    if not visit.posted:
        return _page(visit, offered, beyond)
    if visit.value("do", 20) != "allow":
        return visit.refuse("access_denied", "The person did not allow it.")
    granted, problems = _granted(visit, offered)
    if problems:
        return _page(visit, offered, beyond, problems)
    url, grant = granting.grant(visit.server, flow.pending_of(visit), visit.somebody, visit.current, granted)
    patient = str(grant.context.get("patient", ""))
    visit.record(
        "consent",
        client_id=grant.client_id,
        grant=grant.id,
        patient_ids=(patient,) if patient else (),
        detail={"scope": grant.scope},
    )
    return visit.leave(url, f"Going back to {pending.request.client_name}")


def _granted(visit: Visit, offered: Sequence[Offered]) -> tuple[list[str], list[tuple[str, str]]]:
    """The scopes that were ticked, and what is wrong with that."""
    granted: list[str] = []
    for number, one in enumerate(offered):
        if one.required:
            granted.append(one.text)
            continue
        choice = visit.value(_field(number), 10)
        if choice == "all":
            granted.append(one.text)
        elif choice == "some" and one.kinds:
            ticked = set(visit.request.form.getlist(f"{_field(number)}-kind"))
            kinds = [kind for kind in one.kinds if kind in ticked]
            if not kinds:
                return [], [(_field(number), f"{scope_words.title(one.text)}: tick at least one kind, or none of it.")]
            granted += kinds
    if any(one.clinical for one in offered) and not any(parse(text) for text in granted):
        if "openid" in granted:
            return granted, []
        return [], [("", "Nothing is ticked. Tick what the app may use, or do not allow it.")]
    return list(dict.fromkeys(granted)), []


def _page(
    visit: Visit, offered: Sequence[Offered], beyond: int, problems: list[tuple[str, str]] | None = None
) -> Response:
    pending = flow.pending_of(visit)
    shown = [_shown(visit, number, one) for number, one in enumerate(offered)]
    chosen = patients.patient(visit, pending.patient) if pending.patient else None
    return visit.render(
        "consent.html",
        problems=problems or (),
        initial=pending.request.client_name[:1].upper(),
        own=bool(flow.own_patient(visit)),
        patient=chosen,
        host=urlsplit(pending.request.redirect_uri).netloc or urlsplit(pending.request.redirect_uri).scheme,
        changed=False,
        records=[row for row, one in zip(shown, offered, strict=True) if one.clinical],
        others=[row for row, one in zip(shown, offered, strict=True) if not one.clinical and not one.required],
        needed=[row for row, one in zip(shown, offered, strict=True) if one.required],
        withheld=beyond,
    )


def _shown(visit: Visit, number: int, one: Offered) -> dict[str, Any]:
    field = _field(number)
    ticked = set(visit.request.form.getlist(f"{field}-kind"))
    return {
        "field": field,
        "title": scope_words.title(one.text),
        "actions": scope_words.actions(one.text),
        "choice": (visit.value(field, 10) or "none") if visit.posted else "all",
        "kinds": [
            {"value": kind, "title": _kind(kind), "ticked": kind in ticked if visit.posted else True}
            for kind in one.kinds
        ],
    }


def _kind(text: str) -> str:
    return scope_words.kind(text) if "?" in text else scope_words.title(text)


def _field(number: int) -> str:
    return f"scope-{number}"
