"""The page that shows new recovery codes, this once. docs/second-factors.md"""

from __future__ import annotations

from flask import Response

from fhir_server.console.visit import Visit


def recovery_codes_page(visit: Visit) -> Response:
    """New codes for the person, in the place of all earlier ones."""
    codes = visit.services.recovery.renew(visit.tenant.id, visit.somebody.id)
    visit.record("people", detail={"did": "made recovery codes"})
    onward = visit.to("resume") if visit.pending is not None else visit.to(visit.then)
    return visit.render("recovery_codes.html", codes=codes, onward=onward)
