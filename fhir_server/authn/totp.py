"""Codes of authenticator apps. https://www.rfc-editor.org/rfc/rfc6238"""

from __future__ import annotations

import hmac
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

import pyotp

from fhir_server.authn.people import Person
from fhir_server.crypto.sealing import SealBroken, Sealer
from fhir_server.store import second_factors as rows
from fhir_server.store.second_factors import TOTP, Row
from fhir_server.store.session import Connection, Database

STEP_SECONDS = 30
AROUND = 1
"""Steps before and after the present one that are taken: clocks differ, and people type slowly."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an authenticator app is told: ``uri`` as a QR code, or ``secret`` typed in.

    https://github.com/google/google-authenticator/wiki/Key-Uri-Format
    """

    factor_id: str
    secret: str = field(repr=False)
    uri: str = field(repr=False)


class Totp:
    """Authenticator apps of all clinics. Their keys are sealed, each for its own row."""

    def __init__(self, database: Database, sealer: Sealer, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock

    def begin(self, tenant_id: int, person: Person, clinic: str) -> Enrolment:
        """A new key, of no use until it is confirmed; what was begun before is dropped. Raises Unavailable."""
        factor_id, secret = str(uuid.uuid4()), pyotp.random_base32(32)
        sealed = self._sealer.seal(secret.encode(), _context(tenant_id, person.id, factor_id))
        row = Row(factor_id, TOTP, "Authenticator app", sealed, confirmed=False, created=self._now())

        def write(connection: Connection) -> None:
            rows.remove(connection, tenant_id, person.id, kind=TOTP, unconfirmed=True)
            rows.add(connection, tenant_id, person.id, row)

        self._database.transaction(tenant_id, write)
        return Enrolment(
            factor_id, secret, pyotp.TOTP(secret).provisioning_uri(name=person.username, issuer_name=clinic)
        )

    def begun(self, tenant_id: int, person: Person, clinic: str) -> Enrolment | None:
        """What `begin` gave last, while it is not confirmed. Raises Unavailable."""
        found = self._database.transaction(tenant_id, lambda c: rows.of_person(c, tenant_id, person.id))
        for row in found:
            if row.kind == TOTP and not row.confirmed and (secret := self._opened(tenant_id, person.id, row)):
                uri = pyotp.TOTP(secret).provisioning_uri(name=person.username, issuer_name=clinic)
                return Enrolment(row.id, secret, uri)
        return None

    def confirm(self, tenant_id: int, person_id: str, factor_id: str, code: str) -> bool:
        """Whether this is a code of the app that was begun; from now on it is a second factor. Raises Unavailable."""
        return self._matches(tenant_id, person_id, code, lambda row: row.id == factor_id and not row.confirmed)

    def verify(self, tenant_id: int, person_id: str, code: str) -> bool:
        """Whether this is a code of one of the person's apps that was not used before. Raises Unavailable."""
        return self._matches(tenant_id, person_id, code, lambda row: row.confirmed)

    def _matches(self, tenant_id: int, person_id: str, code: str, wanted: Callable[[Row], bool]) -> bool:
        digits = "".join(code.split())
        if len(digits) != 6 or not digits.isascii() or not digits.isdigit():
            return False

        def look(connection: Connection) -> bool:
            for row in rows.of_person(connection, tenant_id, person_id):
                if row.kind != TOTP or not wanted(row):
                    continue
                step = self._step(self._opened(tenant_id, person_id, row), digits)
                if step and rows.use(connection, tenant_id, person_id, row.id, step, self._now()):
                    return True
            return False

        return self._database.transaction(tenant_id, look)

    def _step(self, secret: str, digits: str) -> int:
        """The time step that the code is of; 0 for none."""
        if not secret:
            return 0
        app, present = pyotp.TOTP(secret), int(self._clock()) // STEP_SECONDS
        found = 0
        for step in range(present - AROUND, present + AROUND + 1):
            if hmac.compare_digest(app.at(step * STEP_SECONDS), digits):
                found = step
        return found

    def _opened(self, tenant_id: int, person_id: str, row: Row) -> str:
        """The key; "" for one that was sealed with a key that is lost."""
        try:
            return self._sealer.open(row.secret, _context(tenant_id, person_id, row.id)).decode()
        except SealBroken:
            return ""

    def _now(self) -> int:
        return int(self._clock() * 1_000_000)


def _context(tenant_id: int, person_id: str, factor_id: str) -> str:
    return f"totp:{tenant_id}:{person_id}:{factor_id}"
