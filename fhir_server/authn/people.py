"""The people of each clinic, and of the platform (tenant 0). docs/people.md"""

from __future__ import annotations

import re
import unicodedata
import uuid
from collections.abc import Iterable
from typing import Any

from fhir_server.access.roles import ROLES
from fhir_server.audit.event import now
from fhir_server.authn.passwords import Passwords
from fhir_server.errors import BadRequest, Conflict, NotFound
from fhir_server.store import people as rows
from fhir_server.store.people import Person
from fhir_server.store.session import Connection, Database

__all__ = ["PLATFORM", "People", "Person", "username_of"]

PLATFORM = 0
"""The tenant of those who run the platform; it has no resources."""

PLATFORM_ROLE = "super_admin"
IDENTITIES = ("Practitioner", "Patient", "RelatedPerson", "Person")
"""Who a person can be in FHIR. https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#scopes-for-requesting-identity-data"""

_IDENTITY = re.compile(rf"({'|'.join(IDENTITIES)})/[A-Za-z0-9\-.]{{1,64}}")
_LONGEST_USERNAME, _LONGEST_NAME = 128, 200


class People:
    """Finds and changes people. Everything that ends somebody's access does so in the same transaction."""

    def __init__(self, database: Database, passwords: Passwords) -> None:
        self._database = database
        self._passwords = passwords

    def find(self, tenant_id: int, person_id: str) -> Person | None:
        """The person of this id. Raises Unavailable."""
        if not person_id or len(person_id) > 64 or "\0" in person_id:
            return None
        return self._database.transaction(tenant_id, lambda c: rows.find(c, tenant_id, person_id))

    def by_username(self, tenant_id: int, username: str) -> Person | None:
        """The person of this username, however it is written. Raises Unavailable."""
        stored = username_of(username)
        if not stored or len(stored) > _LONGEST_USERNAME or "\0" in stored:
            return None
        return self._database.transaction(tenant_id, lambda c: rows.by_username(c, tenant_id, stored))

    def by_upstream(self, tenant_id: int, issuer: str, subject: str) -> Person | None:
        """Who has this account at the clinic's OpenID provider. Raises Unavailable."""
        return self._database.transaction(tenant_id, lambda c: rows.by_upstream(c, tenant_id, f"{issuer} {subject}"))

    def listed(self, tenant_id: int) -> list[Person]:
        """Everybody of a clinic, by username. Raises Unavailable."""
        return self._database.transaction(tenant_id, lambda c: rows.listed(c, tenant_id))

    def create(
        self,
        tenant_id: int,
        *,
        username: str,
        name: str = "",
        roles: Iterable[str],
        fhir_user: str = "",
        password: str = "",
        must_change_password: bool = False,
        upstream: str = "",
    ) -> Person:
        """Add a person. Raises BadRequest for what cannot be, Conflict for a username that is taken, Unavailable."""
        stored, at = username_of(username), now()
        if not 0 < len(stored) <= _LONGEST_USERNAME or not stored.isprintable() or " " in stored:
            raise BadRequest("A username must be 1 to 128 printable characters without spaces.")
        if len(name) > _LONGEST_NAME or not name.isprintable():
            raise BadRequest(f"A name must be at most {_LONGEST_NAME} printable characters.")
        person = Person(
            str(uuid.uuid4()),
            tenant_id,
            stored,
            name or stored,
            _roles(tenant_id, roles),
            _identity(tenant_id, fhir_user),
            must_change_password=must_change_password,
            password=self._passwords.hash(password) if password else "",
            upstream=upstream,
            created=at,
            password_changed=at if password else 0,
        )
        if not self._database.transaction(tenant_id, lambda c: rows.add(c, person)):
            raise Conflict(f"There is a person with the username {stored} already.")
        return person

    def set_password(
        self, tenant_id: int, person_id: str, password: str, *, must_change_password: bool = False
    ) -> Person:
        """Give a person another password, which ends their sessions. Raises NotFound, Unavailable.

        Whether it is strong enough is asked of `passwords.weakness` before.
        """
        values = {
            "password": self._passwords.hash(password),
            "password_changed": now(),
            "must_change_password": must_change_password,
        }
        return self._change(tenant_id, person_id, values)

    def change(
        self,
        tenant_id: int,
        person_id: str,
        *,
        name: str | None = None,
        roles: Iterable[str] | None = None,
        fhir_user: str | None = None,
        disabled: bool | None = None,
        upstream: str | None = None,
    ) -> Person:
        """Change what is given. Raises BadRequest, Conflict, NotFound, Unavailable."""
        values: dict[str, Any] = {}
        if name is not None:
            if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
                raise BadRequest(f"A name must be 1 to {_LONGEST_NAME} printable characters.")
            values["name"] = name
        if roles is not None:
            values["roles"] = _roles(tenant_id, roles)
        if fhir_user is not None:
            values["fhir_user"] = _identity(tenant_id, fhir_user)
        if disabled is not None:
            values["disabled"] = disabled
        if upstream is not None:
            values["upstream"] = upstream
        return self._change(tenant_id, person_id, values)

    def _change(self, tenant_id: int, person_id: str, values: dict[str, Any]) -> Person:
        def write(connection: Connection) -> Person | None:
            try:
                if values and not rows.change(connection, tenant_id, person_id, values, now()):
                    return None
            except rows.Taken:
                raise Conflict("That account at the OpenID provider is somebody else's already.") from None
            return rows.find(connection, tenant_id, person_id)

        person = self._database.transaction(tenant_id, write)
        if person is None:
            raise NotFound("There is no such person.")
        return person


def username_of(text: str) -> str:
    """A username as it is stored: whatever looks the same is the same. https://www.rfc-editor.org/rfc/rfc8265#section-3.3"""
    return unicodedata.normalize("NFKC", text.strip()).casefold()


def _roles(tenant_id: int, roles: Iterable[str]) -> tuple[str, ...]:
    given = tuple(dict.fromkeys(roles))
    if tenant_id == PLATFORM:
        if given != (PLATFORM_ROLE,):
            raise BadRequest(f"The platform's people have the role {PLATFORM_ROLE}, and no other.")
        return given
    known = [name for name in ROLES if name != PLATFORM_ROLE]
    if not given or set(given) - set(known):
        raise BadRequest(f"Roles can be one or more of {', '.join(known)}.")
    return given


def _identity(tenant_id: int, fhir_user: str) -> str:
    if fhir_user and (tenant_id == PLATFORM or not _IDENTITY.fullmatch(fhir_user)):
        raise BadRequest(f"Who somebody is in FHIR must be one of {', '.join(f'{one}/[id]' for one in IDENTITIES)}.")
    return fhir_user
