"""What stands before and after every request: who may, and that it is recorded. docs/platform.md"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from flask import Response, g, request

from fhir_server.audit import event as events
from fhir_server.audit.event import FAILED, REFUSED, SUCCESS, Event
from fhir_server.authn.people import PLATFORM
from fhir_server.errors import FhirError, Forbidden, Unauthenticated, Unavailable
from fhir_server.platform.services import Caller, Platform
from fhir_server.r4 import json
from fhir_server.store import directory

OPEN = frozenset({"platform.sign_in", "platform.docs"})
"""Endpoints without a session. Whatever is not named here demands one."""

INCOMPLETE = frozenset(
    {"platform.sign_out", "platform.change_password", "platform.begin_second_factor", "platform.confirm_second_factor"}
)
"""Endpoints for a session in which the second factor or a new password is still missing."""


def caller() -> Caller:
    """Who has sent the request, behind `demand`."""
    found: Caller = g.caller
    return found


def demand(platform: Platform) -> Callable[[], None]:
    """What is asked before each request. Raises Unauthenticated, Forbidden, Unavailable."""

    def before() -> None:
        g.caller, g.kind, g.reason, g.subject, g.at = None, "platform", "", "", events.now()
        g.event = events.new_id(g.at)
        if request.endpoint in OPEN:
            return
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        found = platform.caller(bearer.strip()) if scheme.lower() == "bearer" else None
        if found is None:
            raise Unauthenticated(
                "A session is needed: POST /platform/api/sessions gives one, for the header Authorization: Bearer.",
                headers=[("WWW-Authenticate", 'Bearer realm="platform"')],
            )
        g.caller, g.subject = found, found.person.id
        if not found.complete and request.endpoint not in INCOMPLETE:
            missing = "a password of your own" if found.person.must_change_password else "a second factor"
            raise Forbidden(f"This session lacks {missing}: see docs/platform.md.")
        if request.method != "GET":
            platform.trail.intend(_event(PLATFORM, 0))

    return before


def record(platform: Platform) -> Callable[[Response], Response]:
    """What follows each request: it is in the platform's trail, and in the clinic's whom it was about.

    Without a record there is no answer.
    """

    def after(response: Response) -> Response:
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        # Whoever knocks too often is refused at the door, before `demand`: rest/doors.py
        if request.endpoint == "platform.docs" or "event" not in g:
            return response
        try:
            slug = _slug()
            entry = directory.entry(platform.database, slug) if slug and g.caller else None
            for tenant in (PLATFORM, *(() if entry is None else (entry.id,))):
                platform.trail.record(_event(tenant, response.status_code))
        except Unavailable as error:
            return answer(error)
        return response

    return after


def _slug() -> str:
    return str((request.view_args or {}).get("slug", ""))


def _event(tenant_id: int, status: int) -> Event:
    slug = _slug()
    return Event(
        # The platform's record has the id of its intent; a clinic's is another one.
        id=g.event if tenant_id == PLATFORM else events.new_id(g.at),
        tenant_id=tenant_id,
        at=g.at,
        kind=g.kind,
        outcome=SUCCESS if status < 400 else REFUSED if status < 500 else FAILED,
        status=status,
        subject=g.subject,
        client_id="platform",
        roles=g.caller.person.roles if g.caller else (),
        address=request.remote_addr or "",
        query=f"{request.method} {request.path}",
        reason=g.reason,
        detail={"tenant": slug} if slug else {},
    )


def answer(error: FhirError) -> Response:
    """An error in JSON."""
    body = {
        "code": error.status,
        "status": HTTPStatus(error.status).phrase,
        "message": " ".join(issue.diagnostics for issue in error.issues),
    }
    return Response(json.dumps(body), error.status, list(error.headers), content_type="application/json")
