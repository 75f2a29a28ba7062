"""An app's request for access, step by step: sign-in, second factor, patient, consent, and back to the app.
https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html"""

from __future__ import annotations

import time

from fhir_server.console import guard
from fhir_server.console.visit import Visit
from fhir_server.smart.errors import RedirectError
from fhir_server.smart.pending import PendingRequest

_WITHOUT_ASKING = {"choose-patient": "interaction_required", "consent": "consent_required"}
"""What an app with prompt=none is told instead; login_required of every other step.

https://openid.net/specs/openid-connect-core-1_0.html#AuthError
"""


def pending_of(visit: Visit) -> PendingRequest:
    """The request, on pages that are steps of one."""
    if visit.pending is None:
        raise LookupError(f"the page {visit.page} is shown without an app's request")
    return visit.pending


def next_page(visit: Visit) -> str:
    """The page that the request must pass next; the last one is the consent.

    Raises RedirectError where the request ends here.
    """
    request = pending_of(visit).request
    step = _next_page(visit)
    if request.prompt == "none":
        raise RedirectError(request, _WITHOUT_ASKING.get(step, "login_required"), "The person would have to be asked.")
    return step


def _next_page(visit: Visit) -> str:
    pending = pending_of(visit)
    if must_sign_in_again(visit):
        return "sign-in"
    step = guard.unfinished(visit)
    if step:
        return step
    if pending.launch_person and pending.launch_person != visit.somebody.id:
        raise RedirectError(pending.request, "access_denied", "The app was opened by somebody else.")
    if needs_patient(visit):
        return "choose-patient"
    return "consent"


def must_sign_in_again(visit: Visit) -> bool:
    """Whether the app asks that the person signs in anew. https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest"""
    pending, session = visit.pending, visit.session
    if pending is None or session is None:
        return False
    if {"login", "select_account"} & set(pending.request.prompt.split()) and session.created < pending.created:
        return True
    age = pending.request.max_age
    return age >= 0 and session.created < max(pending.created, 0) and time.time() - session.created / 1e6 > age


def needs_patient(visit: Visit) -> bool:
    """Whether a patient must be chosen yet: the app asks for one, and neither launch nor person tells which."""
    pending = pending_of(visit)
    return pending.request.needs_patient and not patient_of(visit)


def patient_of(visit: Visit) -> str:
    """The patient of the request: of the launch, chosen, or the person themselves; "" while there is none."""
    pending = pending_of(visit)
    return pending.patient or (own_patient(visit) if pending.request.needs_patient else "")


def own_patient(visit: Visit) -> str:
    """The id of the patient that the person is, "" for those who are none, and for those who are more than that."""
    kind, _, patient_id = visit.somebody.fhir_user.partition("/")
    return patient_id if kind == "Patient" and visit.somebody.roles == ("patient",) else ""
