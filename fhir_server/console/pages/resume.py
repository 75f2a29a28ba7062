"""The next step of an app's request for access. https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html"""

from __future__ import annotations

from flask import Response

from fhir_server.console import flow
from fhir_server.console.visit import Visit


def view(visit: Visit) -> Response:
    """GET /t/{slug}/auth/resume"""
    if visit.pending is None:
        return visit.redirect("home")
    return visit.redirect(flow.next_page(visit))
