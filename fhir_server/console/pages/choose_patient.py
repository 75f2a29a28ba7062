"""The patient picker: which patient is the app to work with?
https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#standalone-apps"""

from __future__ import annotations

from flask import Response

from fhir_server.console import flow, patients
from fhir_server.console.patients import Sought, sought
from fhir_server.console.visit import Visit


def view(visit: Visit) -> Response:
    """GET and POST /t/{slug}/patients/choose. What is searched for is sent by POST: URLs are kept in many places."""
    pending = flow.pending_of(visit)
    if flow.next_page(visit) != "choose-patient":
        return visit.redirect("resume")
    if not visit.posted:
        return _list(visit, Sought())
    do = visit.value("do", 20)
    if do == "cancel":
        return visit.refuse("access_denied", "No patient was chosen.")
    chosen = visit.value("patient", 64)
    if chosen:
        if patients.patient(visit, chosen) is None:
            return _list(visit, Sought(), problems=[("", "There is no such patient among those that you may see.")])
        visit.services.smart.pending.choose(visit.tenant.id, pending.handle, chosen)
        return visit.redirect("resume")
    wanted = sought(visit)
    return _list(visit, wanted, visit.value("page", 8000) if do == "more" else "", wanted.problems)


def _list(visit: Visit, wanted: Sought, cursor: str = "", problems: list[tuple[str, str]] | None = None) -> Response:
    found, onward = ([], "") if problems else patients.found(visit, wanted, cursor)
    return visit.render(
        "choose_patient.html",
        problems=problems or (),
        sought=wanted,
        found=found,
        next=onward,
        searched=wanted != Sought(),
    )
