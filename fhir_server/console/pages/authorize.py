"""Where an app's request for access begins. https://www.rfc-editor.org/rfc/rfc6749#section-3.1"""

from __future__ import annotations

from flask import Response

from fhir_server.console.visit import Visit
from fhir_server.smart import authorization_request
from fhir_server.smart.authorization_request import AuthorizationRequest
from fhir_server.smart.errors import RedirectError
from fhir_server.store.oauth_requests import Launch


def view(visit: Visit) -> Response:
    """GET and POST /t/{slug}/auth/authorize

    Nothing is decided here: the request is kept, and the browser goes on by GET. That way a request that another site
    has posted finds our cookies, which are SameSite=Lax, and every step has a short URL.
    """
    server = visit.server
    given = visit.request.form if visit.posted else visit.request.args
    request = authorization_request.read(server.client, server.places, dict(given.lists()))
    launch = _launch(visit, request)
    handle = visit.services.smart.pending.keep(visit.tenant.id, request, launch)
    return visit.redirect("resume", request=handle)


def _launch(visit: Visit, request: AuthorizationRequest) -> Launch | None:
    """The launch that the request belongs to. Raises RedirectError for one that is none, or another app's."""
    if not request.launch:
        return None
    launch = visit.services.smart.launches.find(visit.tenant.id, request.launch)
    if launch is None or launch.client_id not in ("", request.client_id):
        raise RedirectError(request, "invalid_request", "The launch is none of this app's, was used, or has expired.")
    return launch
