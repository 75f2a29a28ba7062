"""Who needs a second factor, and what people have. https://pages.nist.gov/800-63-4/sp800-63b.html#AAL_SEC4"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from fhir_server.audit.event import now
from fhir_server.authn.clinic_settings import ClinicSettings
from fhir_server.authn.people import PLATFORM, Person
from fhir_server.store import second_factors as rows
from fhir_server.store import sign_in_failures
from fhir_server.store.second_factors import RECOVERY
from fhir_server.store.session import Connection, Database


@dataclass(frozen=True, slots=True)
class Factor:
    """A second factor as its owner knows it: ``kind`` totp or webauthn. Times are microseconds since 1970, 0 never."""

    id: str
    kind: str
    name: str
    created: int
    last_used: int


def needed(person: Person, settings: ClinicSettings) -> bool:
    """Whether the person must have one: all but patients where the clinic asks for it, and the platform's people."""
    if person.tenant_id == PLATFORM:
        return True
    return settings.second_factor and any(role != "patient" for role in person.roles)


class SecondFactors:
    """The second factors of all clinics, whatever their kind; failures of all kinds count together."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def enrolled(self, tenant_id: int, person_id: str) -> tuple[Factor, ...]:
        """What a person has set up, the oldest first; recovery codes are not among it. Raises Unavailable."""
        found = self._database.transaction(tenant_id, lambda c: rows.of_person(c, tenant_id, person_id))
        return tuple(
            Factor(one.id, one.kind, one.name, one.created, one.last_used)
            for one in found
            if one.confirmed and one.kind != RECOVERY
        )

    def remove(self, tenant_id: int, person_id: str, factor_id: str) -> bool:
        """Forget one; with the last one go the recovery codes. False where there is none. Raises Unavailable."""

        def write(connection: Connection) -> bool:
            done = rows.remove(connection, tenant_id, person_id, factor_id=factor_id)
            left = rows.of_person(connection, tenant_id, person_id)
            if not any(one.confirmed and one.kind != RECOVERY for one in left):
                rows.remove(connection, tenant_id, person_id)
            return bool(done)

        return bool(factor_id) and self._database.transaction(tenant_id, write)

    def remove_all(self, tenant_id: int, person_id: str) -> int:
        """Forget all of a person's, recovery codes too; the answer is how many. Raises Unavailable."""
        return self._database.transaction(tenant_id, lambda c: rows.remove(c, tenant_id, person_id))

    def wait(self, tenant_id: int, person_id: str) -> int:
        """How many seconds the person has to wait before the next attempt. Raises Unavailable."""
        return self._database.transaction(
            tenant_id, lambda c: sign_in_failures.locked(c, tenant_id, [subject(person_id)], now())
        )

    def failed(self, tenant_id: int, person_id: str) -> int:
        """Count a failure; the answer is how many seconds to wait now. Raises Unavailable."""
        return self._database.transaction(
            tenant_id, lambda c: sign_in_failures.failed(c, tenant_id, subject(person_id), now())
        )

    def succeeded(self, tenant_id: int, person_id: str) -> None:
        """Forget the failures. Raises Unavailable."""
        self._database.transaction(tenant_id, lambda c: sign_in_failures.succeeded(c, tenant_id, subject(person_id)))


def subject(person_id: str) -> bytes:
    """Under what a person's failures are counted."""
    return sha256(f"factor:{person_id}".encode()).digest()
