"""Clients, grants and what has been taken back: the authorization server's tables. docs/smart.md"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, Table, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from fhir_server.store.metadata import TEXT_C, metadata

oauth_client = Table(
    "oauth_client",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("approved", BigInteger, nullable=False, server_default=text("0")),
    Column("id", TEXT_C, nullable=False),
    Column("name", TEXT_C, nullable=False),
    Column("method", TEXT_C, nullable=False),
    Column("state", TEXT_C, nullable=False),
    Column("scope", TEXT_C, nullable=False),
    Column("jwks_uri", TEXT_C, nullable=False, server_default=text("''")),
    Column("launch_uri", TEXT_C, nullable=False, server_default=text("''")),
    Column("created_by", TEXT_C, nullable=False, server_default=text("''")),
    Column("approved_by", TEXT_C, nullable=False, server_default=text("''")),
    Column("secret", LargeBinary, nullable=False, server_default=text("''")),
    Column("registration", LargeBinary, nullable=False, server_default=text("''")),
    Column("redirect_uris", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("grant_types", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("jwks", JSONB),
    Column("metadata", JSONB, nullable=False, server_default=text("'{}'")),
    PrimaryKeyConstraint("tenant_id", "id", name="oauth_client_pkey"),
)

initial_access_token = Table(
    "initial_access_token",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("uses", Integer, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("created_by", TEXT_C, nullable=False, server_default=text("''")),
    PrimaryKeyConstraint("tenant_id", "digest", name="initial_access_token_pkey"),
)

authorization_request = Table(
    "authorization_request",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("session_id", TEXT_C, nullable=False, server_default=text("''")),
    Column("request", JSONB, nullable=False),
    PrimaryKeyConstraint("tenant_id", "digest", name="authorization_request_pkey"),
)
Index("authorization_request_expires", authorization_request.c.tenant_id, authorization_request.c.expires)

oauth_grant = Table(
    "oauth_grant",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("revoked", BigInteger, nullable=False, server_default=text("0")),
    Column("id", TEXT_C, nullable=False),
    Column("client_id", TEXT_C, nullable=False),
    Column("person_id", TEXT_C, nullable=False),
    Column("session_id", TEXT_C, nullable=False, server_default=text("''")),
    Column("scope", TEXT_C, nullable=False),
    Column("context", JSONB, nullable=False, server_default=text("'{}'")),
    PrimaryKeyConstraint("tenant_id", "id", name="oauth_grant_pkey"),
)
Index("oauth_grant_person", oauth_grant.c.tenant_id, oauth_grant.c.person_id, oauth_grant.c.client_id)
Index("oauth_grant_client", oauth_grant.c.tenant_id, oauth_grant.c.client_id)
Index(
    "oauth_grant_session", oauth_grant.c.tenant_id, oauth_grant.c.session_id, postgresql_where=text("session_id <> ''")
)

authorization_code = Table(
    "authorization_code",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("used", BigInteger, nullable=False, server_default=text("0")),
    Column("digest", LargeBinary, nullable=False),
    Column("grant_id", TEXT_C, nullable=False),
    Column("redirect_uri", TEXT_C, nullable=False),
    Column("challenge", TEXT_C, nullable=False),
    Column("nonce", TEXT_C, nullable=False, server_default=text("''")),
    PrimaryKeyConstraint("tenant_id", "digest", name="authorization_code_pkey"),
)
Index("authorization_code_expires", authorization_code.c.tenant_id, authorization_code.c.expires)

refresh_token = Table(
    "refresh_token",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("used", BigInteger, nullable=False, server_default=text("0")),
    Column("digest", LargeBinary, nullable=False),
    Column("grant_id", TEXT_C, nullable=False),
    PrimaryKeyConstraint("tenant_id", "digest", name="refresh_token_pkey"),
)
Index("refresh_token_grant", refresh_token.c.tenant_id, refresh_token.c.grant_id)
Index("refresh_token_expires", refresh_token.c.tenant_id, refresh_token.c.expires)

smart_launch = Table(
    "smart_launch",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("person_id", TEXT_C, nullable=False),
    Column("client_id", TEXT_C, nullable=False, server_default=text("''")),
    Column("context", JSONB, nullable=False),
    PrimaryKeyConstraint("tenant_id", "digest", name="smart_launch_pkey"),
)
Index("smart_launch_expires", smart_launch.c.tenant_id, smart_launch.c.expires)

client_assertion = Table(
    "client_assertion",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("client_id", TEXT_C, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant_id", "client_id", "digest", name="client_assertion_pkey"),
)
Index("client_assertion_expires", client_assertion.c.tenant_id, client_assertion.c.expires)

revocation = Table(
    "revocation",
    metadata,
    Column("at", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("xid", BigInteger, nullable=False, server_default=text("pg_current_xact_id()::text::bigint")),
    Column("kind", TEXT_C, nullable=False),
    Column("value", TEXT_C, nullable=False),
    PrimaryKeyConstraint("kind", "value", name="revocation_pkey"),
)
Index("revocation_xid", revocation.c.xid)
Index("revocation_until", revocation.c.until)

OAUTH_TABLES = (
    oauth_client,
    initial_access_token,
    authorization_request,
    oauth_grant,
    authorization_code,
    refresh_token,
    smart_launch,
    client_assertion,
)
"""Those with row level security."""
