"""The clinic that a command works on. docs/operations.md"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from fhir_server.authn import keys, passwords
from fhir_server.authn.people import PLATFORM, People, Person
from fhir_server.commands.database import database
from fhir_server.crypto.sealing import Sealer
from fhir_server.errors import FhirError
from fhir_server.settings import ConfigurationError, Settings
from fhir_server.store import directory
from fhir_server.store.session import Database


@dataclass(frozen=True, slots=True)
class OpenClinic:
    """A clinic with the database open. ``id`` is 0 for the platform, which has no slug."""

    settings: Settings
    database: Database
    id: int
    slug: str

    @property
    def people(self) -> People:
        """Its people."""
        return People(self.database, passwords.standard())

    @property
    def sealer(self) -> Sealer:
        """What seals its secrets."""
        return Sealer(keys.sealing_secrets(self.settings.sealing_keys))

    def person(self, username: str) -> Person:
        """The person of this username. Raises ConfigurationError."""
        found = self.people.by_username(self.id, username)
        if found is None:
            raise ConfigurationError(f"There is no user {username!r}; `fhir-server user list` shows them.")
        return found


@contextlib.contextmanager
def clinic(slug: str, *, platform: bool = False) -> Iterator[OpenClinic]:
    """The clinic ``slug``, or the platform. Raises ConfigurationError for whatever the operator can change."""
    settings = Settings.from_env()
    with database(settings) as urls:
        pool = Database(urls.app, 2)
        pool.open()
        try:
            tenant_id = PLATFORM if platform else directory.tenant_id(pool, slug)
            if tenant_id is None:
                raise ConfigurationError(f"There is no tenant {slug!r}; `fhir-server tenant list` shows them.")
            yield OpenClinic(settings, pool, tenant_id, slug)
        except FhirError as error:
            raise ConfigurationError(error.issues[0].diagnostics) from None
        finally:
            pool.close()
