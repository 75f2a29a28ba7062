"""Recovery codes, shown once. docs/second-factors.md"""

from __future__ import annotations

from flask import Response

from fhir_server.console.recovery_codes_page import recovery_codes_page
from fhir_server.console.visit import Visit


def view(visit: Visit) -> Response:
    """GET /t/{slug}/account/recovery-codes: only for those who have none left; others renew them by a form."""
    services, tenant, person = visit.services, visit.tenant.id, visit.somebody
    if not services.factors.enrolled(tenant, person.id) or services.recovery.left(tenant, person.id):
        return visit.onward()
    return recovery_codes_page(visit)
