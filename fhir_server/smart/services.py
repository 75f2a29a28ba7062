"""What the authorization server is made of: the parts of the server that it calls. docs/smart.md"""

from __future__ import annotations

from dataclasses import dataclass

from fhir_server.audit.trail import Trail
from fhir_server.authn.access_token import Verifier
from fhir_server.authn.key_ring import KeyRing
from fhir_server.authn.key_sets import KeySets
from fhir_server.authn.people import People
from fhir_server.settings import Settings
from fhir_server.smart.client import OAuthClient
from fhir_server.smart.launches import Launches
from fhir_server.smart.pending import Pending
from fhir_server.smart.places import Places
from fhir_server.store import oauth_clients
from fhir_server.store.directory import Entry
from fhir_server.store.session import Database
from fhir_server.tenants.directory import Directory


@dataclass(frozen=True, slots=True)
class Smart:
    """One process's parts; threads share them.

    ``keys`` sign access_tokens, ``identity_keys`` id_tokens; ``key_sets`` are those of clients.
    """

    settings: Settings
    database: Database
    directory: Directory
    trail: Trail
    people: People
    verifier: Verifier
    keys: KeyRing
    identity_keys: KeyRing
    key_sets: KeySets
    pending: Pending
    launches: Launches

    def places(self, slug: str) -> Places:
        """The addresses of a clinic."""
        return Places(self.settings.public_url, slug)


@dataclass(frozen=True, slots=True)
class Clinic:
    """The authorization server of one clinic."""

    smart: Smart
    entry: Entry
    slug: str

    @property
    def id(self) -> int:
        """The number of the tenant."""
        return self.entry.id

    @property
    def places(self) -> Places:
        """Its addresses."""
        return self.smart.places(self.slug)

    def client(self, client_id: str) -> OAuthClient | None:
        """The client of this id, whatever its state. Raises Unavailable."""
        if not client_id or len(client_id) > 200 or "\0" in client_id:
            return None
        row = self.smart.database.transaction(self.id, lambda c: oauth_clients.find(c, self.id, client_id))
        return None if row is None else OAuthClient(row)
