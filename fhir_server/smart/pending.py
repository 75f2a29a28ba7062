"""Requests for access while a person signs in, chooses a patient and decides. https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fhir_server.audit.event import now
from fhir_server.smart import secrets
from fhir_server.smart.authorization_request import AuthorizationRequest, restored
from fhir_server.store import oauth_requests
from fhir_server.store.session import Database

MINUTES = 30
"""How long a person may take."""


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """A request and what is decided of it so far.

    ``handle`` names it in the URLs of pages. ``context`` is the launch context, empty of a standalone launch;
    ``patient`` and ``encounter`` are those of the launch or chosen since. ``launch_person`` is who began the launch.
    ``created`` is in microseconds since 1970.
    """

    handle: str
    request: AuthorizationRequest
    created: int
    patient: str = ""
    encounter: str = ""
    launch_person: str = ""
    context: dict[str, Any] = field(default_factory=dict, hash=False)


class Pending:
    """The requests that wait for somebody."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, tenant_id: int, request: AuthorizationRequest, launch: oauth_requests.Launch | None) -> str:
        """Keep a request, with the launch that it belongs to; the answer is its handle. Raises Unavailable."""
        handle, at = secrets.new(), now()
        context = dict(launch.context) if launch else {}
        values = {
            "request": request.stored(),
            "created": at,
            "patient": str(context.get("patient", "")),
            "encounter": str(context.get("encounter", "")),
            "launch_person": launch.person_id if launch else "",
            "context": context,
        }
        expires = at + MINUTES * 60_000_000
        self._database.transaction(
            tenant_id,
            lambda c: oauth_requests.keep_request(c, tenant_id, secrets.digest(handle), values, at, expires),
        )
        return handle

    def find(self, tenant_id: int, handle: str) -> PendingRequest | None:
        """The request of a handle; None where it was answered, has expired or never was. Raises Unavailable."""
        if not 40 <= len(handle) <= 64:
            return None
        values = self._database.transaction(
            tenant_id, lambda c: oauth_requests.request(c, tenant_id, secrets.digest(handle), now())
        )
        if values is None:
            return None
        return PendingRequest(**values | {"handle": handle, "request": restored(values["request"])})

    def choose(self, tenant_id: int, handle: str, patient: str) -> bool:
        """Note which patient the person has chosen; False where the request is gone. Raises Unavailable."""
        return self._database.transaction(
            tenant_id,
            lambda c: oauth_requests.change_request(
                c, tenant_id, secrets.digest(handle), {"patient": patient, "encounter": ""}, now()
            ),
        )

    def end(self, tenant_id: int, handle: str) -> bool:
        """Forget a request; False where it was answered before. Raises Unavailable."""
        return self._database.transaction(
            tenant_id, lambda c: oauth_requests.end_request(c, tenant_id, secrets.digest(handle))
        )
