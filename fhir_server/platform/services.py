"""What the platform's interface is made of: the parts of the server that it calls. docs/platform.md"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fhir_server.audit.trail import Trail
from fhir_server.authn.access_token import Keys
from fhir_server.authn.clinic_settings import ClinicSettings
from fhir_server.authn.people import PLATFORM, PLATFORM_ROLE, People, Person
from fhir_server.authn.second_factors import SecondFactors
from fhir_server.authn.sessions import Session, Sessions
from fhir_server.authn.sign_in import SignIn
from fhir_server.authn.totp import Totp
from fhir_server.settings import Settings
from fhir_server.store.directory import Entry
from fhir_server.store.session import Database
from fhir_server.store.store import Store

SESSIONS = ClinicSettings()
"""How long sessions of the platform's people last: as those of clinics that have not set anything."""

PASSWORD = "pwd"  # noqa: S105 - the name of a method, https://www.rfc-editor.org/rfc/rfc8176#section-2
CODE = "otp"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody of the platform with a session."""

    person: Person
    session: Session
    bearer: str

    @property
    def complete(self) -> bool:
        """Whether nothing is missing: a second factor was shown, and the password is the person's own choice."""
        return CODE in self.session.methods and not self.person.must_change_password


@dataclass(frozen=True)
class Platform:
    """One process's parts; threads share them."""

    settings: Settings
    database: Database
    trail: Trail
    store_of: Callable[[Entry], Store]
    keys: Keys
    people: People
    sign_in: SignIn
    sessions: Sessions
    factors: SecondFactors
    totp: Totp

    def caller(self, bearer: str) -> Caller | None:
        """Whose session it is, if it has not ended and they still run the platform. Raises Unavailable."""
        session = self.sessions.find(PLATFORM, bearer, SESSIONS) if bearer else None
        person = self.people.find(PLATFORM, session.person_id) if session is not None else None
        if session is None or person is None or person.disabled or PLATFORM_ROLE not in person.roles:
            return None
        return Caller(person, session, bearer)
