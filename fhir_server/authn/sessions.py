"""Sessions: a random cookie for a person who has signed in. https://cheatsheetseries.owasp.org/cheatsheets/Session_Management_Cheat_Sheet.html"""

from __future__ import annotations

import secrets
import uuid
from hashlib import sha256
from typing import Any

from fhir_server.audit.event import now
from fhir_server.authn.clinic_settings import ClinicSettings
from fhir_server.store import web_sessions
from fhir_server.store.session import Connection, Database
from fhir_server.store.web_sessions import Session

__all__ = ["Session", "Sessions"]

TOUCHED_SECONDS = 60
"""How exactly it is known when a session was used last."""

_SECOND = 1_000_000


class Sessions:
    """The sessions of all clinics. A cookie is 256 random bits; only its SHA-256 is kept."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        tenant_id: int,
        person_id: str,
        methods: tuple[str, ...],
        address: str,
        user_agent: str,
        settings: ClinicSettings,
    ) -> str:
        """Begin a session; the answer is its cookie. Raises Unavailable."""
        cookie, at = secrets.token_urlsafe(32), now()
        session = Session(
            str(uuid.uuid4()),
            person_id,
            methods,
            at,
            at,
            at + settings.session_absolute_hours * 3600 * _SECOND,
            address[:100],
            "".join(char for char in user_agent if char.isprintable())[:300],
        )
        self._database.transaction(tenant_id, lambda c: web_sessions.add(c, tenant_id, _digest(cookie), session))
        return cookie

    def find(self, tenant_id: int, cookie: str, settings: ClinicSettings) -> Session | None:
        """The session of a cookie, if it has not ended; being asked for, it goes on. Raises Unavailable."""
        digest, at = _digest(cookie), now()

        def look(connection: Connection) -> Session | None:
            session = web_sessions.find(connection, tenant_id, digest, _idle_since(settings, at), at)
            if session is not None and session.seen < at - TOUCHED_SECONDS * _SECOND:
                web_sessions.touch(connection, tenant_id, digest, at)
            return session

        return self._database.transaction(tenant_id, look)

    def add_method(self, tenant_id: int, cookie: str, method: str) -> str:
        """Note what else the person has shown; the answer is a new cookie, and the old one is none any more.

        That way nobody who has seen the cookie before is signed in along with the person. Raises Unavailable.
        """
        renewed, at = secrets.token_urlsafe(32), now()
        done = self._database.transaction(
            tenant_id, lambda c: web_sessions.renew(c, tenant_id, _digest(cookie), _digest(renewed), method, at)
        )
        return renewed if done else ""

    def set_state(self, tenant_id: int, cookie: str, state: dict[str, Any]) -> None:
        """Keep what the pages need in the next step. Raises Unavailable."""
        self._database.transaction(tenant_id, lambda c: web_sessions.set_state(c, tenant_id, _digest(cookie), state))

    def listed(self, tenant_id: int, person_id: str, settings: ClinicSettings) -> list[Session]:
        """A person's sessions that have not ended, the latest first. Raises Unavailable."""
        at = now()
        return self._database.transaction(
            tenant_id, lambda c: web_sessions.listed(c, tenant_id, person_id, _idle_since(settings, at), at)
        )

    def revoke(self, tenant_id: int, person_id: str, session_id: str) -> bool:
        """End one session of a person; False where there is none. Raises Unavailable."""
        return self._database.transaction(
            tenant_id, lambda c: web_sessions.revoke(c, tenant_id, person_id, session_id, now())
        )

    def revoke_all(self, tenant_id: int, person_id: str, but: str = "") -> int:
        """End a person's sessions but one; the answer is how many. Raises Unavailable."""
        return self._database.transaction(
            tenant_id, lambda c: web_sessions.revoke_all(c, tenant_id, person_id, now(), but)
        )


def _idle_since(settings: ClinicSettings, at: int) -> int:
    return at - settings.session_idle_minutes * 60 * _SECOND


def _digest(cookie: str) -> bytes:
    return sha256(cookie.encode("utf-8", "surrogatepass")).digest()
