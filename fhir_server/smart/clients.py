"""What people of the clinic and the command line do with clients. docs/smart.md"""

from __future__ import annotations

from dataclasses import replace

from fhir_server.audit.event import now
from fhir_server.smart import registration, secrets
from fhir_server.smart.registration import Registered
from fhir_server.store import oauth_clients, revocations
from fhir_server.store.oauth_clients import ACTIVE, Client
from fhir_server.store.session import Connection, Database


def listed(database: Database, tenant_id: int) -> list[Client]:
    """Every client of a clinic, by name. Raises Unavailable."""
    return database.transaction(tenant_id, lambda c: oauth_clients.listed(c, tenant_id))


def create(
    database: Database, tenant_id: int, metadata: dict[str, object], created_by: str, *, introspect: bool = False
) -> Registered:
    """Add a client that somebody of the clinic vouches for. Raises MetadataRefused, Unavailable.

    ``introspect`` lets it ask about every token of the clinic.
    """
    registered = registration.register(metadata, created_by)
    client = registration.approved(registered.client, created_by)
    if introspect:
        client = replace(client, metadata=client.metadata | {"introspect": True})
    database.transaction(tenant_id, lambda c: oauth_clients.add(c, tenant_id, client))
    return Registered(client, registered.client_secret, registered.registration_token)


def set_state(database: Database, tenant_id: int, slug: str, client_id: str, state: str, by: str) -> bool:
    """Approve a client or shut it out, which ends everything that was issued to it; False where there is none.

    Raises Unavailable.
    """

    def write(connection: Connection) -> bool:
        at = now()
        if not oauth_clients.set_state(connection, tenant_id, client_id, state, by, at):
            return False
        if state != ACTIVE:
            end(connection, tenant_id, slug, client_id, at)
        return True

    return database.transaction(tenant_id, write)


def remove(database: Database, tenant_id: int, slug: str, client_id: str) -> bool:
    """Forget a client and end everything that was issued to it; False where there is none. Raises Unavailable."""

    def write(connection: Connection) -> bool:
        end(connection, tenant_id, slug, client_id, now())
        return oauth_clients.remove(connection, tenant_id, client_id)

    return database.transaction(tenant_id, write)


def end(connection: Connection, tenant_id: int, slug: str, client_id: str, at: int) -> None:
    """Take back everything that was issued to a client until ``at``."""
    revocations.revoke_grants(connection, tenant_id, client_id=client_id, now=at)
    revocations.revoke(connection, "client", f"{slug} {client_id}", revocations.ALL, at)


def initial_access_token(database: Database, tenant_id: int, uses: int, days: int, created_by: str) -> str:
    """A token that lets ``uses`` clients register within ``days``. Raises Unavailable."""
    token = secrets.new()
    expires = now() + days * 86_400_000_000
    database.transaction(
        tenant_id,
        lambda c: oauth_clients.add_initial_access_token(
            c, tenant_id, secrets.digest(token), uses, expires, created_by
        ),
    )
    return token
