"""Codes on paper, for when the phone is lost; each works once. https://pages.nist.gov/800-63-4/sp800-63b.html#lookupsecrets"""

from __future__ import annotations

import secrets
import uuid
from hashlib import sha256

from fhir_server.audit.event import now
from fhir_server.store import second_factors as rows
from fhir_server.store.second_factors import RECOVERY, Row
from fhir_server.store.session import Connection, Database

MANY = 10
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""https://www.crockford.com/base32.html: five bits a character, none mistaken for another."""

_READ_AS = str.maketrans("oil", "011")
_GROUPS = 3
_GROUP = 5


class RecoveryCodes:
    """The recovery codes of all clinics: 75 random bits each, of which a hash is kept."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def renew(self, tenant_id: int, person_id: str) -> list[str]:
        """Ten new codes in the place of all earlier ones; they are shown this once. Raises Unavailable."""
        codes = ["-".join(_group() for _ in range(_GROUPS)) for _ in range(MANY)]
        at = now()

        def write(connection: Connection) -> None:
            rows.remove(connection, tenant_id, person_id, kind=RECOVERY)
            for code in codes:
                row = Row(str(uuid.uuid4()), RECOVERY, "", _digest(code), created=at)
                rows.add(connection, tenant_id, person_id, row)

        self._database.transaction(tenant_id, write)
        return codes

    def use(self, tenant_id: int, person_id: str, code: str) -> bool:
        """Use a code up; False where it is none, or was used. Raises Unavailable."""
        return self._database.transaction(
            tenant_id, lambda c: rows.take(c, tenant_id, person_id, RECOVERY, _digest(code))
        )

    def left(self, tenant_id: int, person_id: str) -> int:
        """How many codes were not used yet. Raises Unavailable."""
        found = self._database.transaction(tenant_id, lambda c: rows.of_person(c, tenant_id, person_id))
        return sum(one.kind == RECOVERY for one in found)


def _group() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_GROUP))


def _digest(code: str) -> bytes:
    """Of a code however it is typed: capitals, spaces and hyphens make no difference, nor do o, i and l."""
    plain = "".join(char for char in code.lower() if char.isalnum())[:100].translate(_READ_AS)
    return sha256(plain.encode("utf-8", "surrogatepass")).digest()
