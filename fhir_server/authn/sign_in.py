"""Signing in with a password, slowly for those who guess. https://pages.nist.gov/800-63-4/sp800-63b.html#throttle"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from fhir_server.audit.event import now
from fhir_server.authn.passwords import Passwords
from fhir_server.authn.people import People, Person, username_of
from fhir_server.store import clinic_settings, sign_in_failures
from fhir_server.store.session import Database

FREE_BY_ADDRESS = 30
"""Failures from one network address that cost nothing: many people can share one."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Who has signed in, or None, and then how many seconds to wait before the next attempt.

    ``reason`` is for the audit trail alone: the person is told the same in every case.
    """

    person: Person | None
    wait_seconds: int = 0
    reason: str = ""


class SignIn:
    """Checks passwords. ``demo`` lets the demo clinics' people in, whose passwords anybody can read off a screen."""

    def __init__(self, database: Database, people: People, passwords: Passwords, *, demo: bool) -> None:
        self._database = database
        self._people = people
        self._passwords = passwords
        self._demo = demo

    def password(self, tenant_id: int, username: str, password: str, address: str) -> Outcome:
        """Who signs in with a username and a password. Raises Unavailable.

        It takes the same time for names that nobody has, and a lock says nothing about whether somebody has the name.
        """
        named, place = _subject("name", username_of(username)), _subject("address", address)
        wait = self._database.transaction(
            tenant_id, lambda c: sign_in_failures.locked(c, tenant_id, [named, place], now())
        )
        if wait:
            return Outcome(None, wait, "locked")
        person = self._people.by_username(tenant_id, username)
        kept = person.password if person is not None else ""
        right = self._passwords.verify(kept, password)
        if person is None or not right:
            return Outcome(None, self._failed(tenant_id, named, place), "unknown" if person is None else "password")
        if person.disabled:
            return Outcome(None, self._failed(tenant_id, named, place), "disabled")
        if not self._demo and self._is_demo(tenant_id, person):
            return Outcome(None, 0, "a demo account in production")
        self._database.transaction(tenant_id, lambda c: sign_in_failures.succeeded(c, tenant_id, named))
        return Outcome(person)

    def _failed(self, tenant_id: int, named: bytes, place: bytes) -> int:
        at = now()
        return self._database.transaction(
            tenant_id,
            lambda c: max(
                sign_in_failures.failed(c, tenant_id, named, at),
                sign_in_failures.failed(c, tenant_id, place, at, FREE_BY_ADDRESS),
            ),
        )

    def _is_demo(self, tenant_id: int, person: Person) -> bool:
        values = self._database.transaction(tenant_id, lambda c: clinic_settings.read(c, tenant_id))
        return person.id in values.get("demo_people", ())


def _subject(kind: str, value: str) -> bytes:
    return sha256(f"{kind}:{value}".encode("utf-8", "surrogatepass")).digest()
