"""Who may sign in at a clinic, with what, and who has. docs/people.md"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, Table, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from fhir_server.store.metadata import TEXT_C, metadata

person = Table(
    "person",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("password_changed", BigInteger, nullable=False, server_default=text("0")),
    Column("must_change_password", Boolean, nullable=False, server_default=text("false")),
    Column("disabled", Boolean, nullable=False, server_default=text("false")),
    Column("id", TEXT_C, nullable=False),
    Column("username", TEXT_C, nullable=False),
    Column("name", TEXT_C, nullable=False),
    Column("fhir_user", TEXT_C, nullable=False, server_default=text("''")),
    Column("password", TEXT_C, nullable=False, server_default=text("''")),
    Column("upstream", TEXT_C, nullable=False, server_default=text("''")),
    Column("roles", ARRAY(Text), nullable=False),
    PrimaryKeyConstraint("tenant_id", "id", name="person_pkey"),
)
Index("person_username", person.c.tenant_id, person.c.username, unique=True)
Index("person_upstream", person.c.tenant_id, person.c.upstream, unique=True, postgresql_where=text("upstream <> ''"))

second_factor = Table(
    "second_factor",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("last_used", BigInteger, nullable=False, server_default=text("0")),
    Column("counter", BigInteger, nullable=False, server_default=text("0")),
    Column("confirmed", Boolean, nullable=False, server_default=text("true")),
    Column("person_id", TEXT_C, nullable=False),
    Column("id", TEXT_C, nullable=False),
    Column("kind", TEXT_C, nullable=False),
    Column("name", TEXT_C, nullable=False, server_default=text("''")),
    Column("secret", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant_id", "person_id", "id", name="second_factor_pkey"),
)

sign_in_failure = Table(
    "sign_in_failure",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("locked_until", BigInteger, nullable=False, server_default=text("0")),
    Column("failures", Integer, nullable=False),
    Column("subject", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant_id", "subject", name="sign_in_failure_pkey"),
)
Index("sign_in_failure_last", sign_in_failure.c.tenant_id, sign_in_failure.c.last)

web_session = Table(
    "web_session",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("seen", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("revoked", BigInteger, nullable=False, server_default=text("0")),
    Column("digest", LargeBinary, nullable=False),
    Column("id", TEXT_C, nullable=False),
    Column("person_id", TEXT_C, nullable=False),
    Column("address", TEXT_C, nullable=False, server_default=text("''")),
    Column("user_agent", TEXT_C, nullable=False, server_default=text("''")),
    Column("methods", ARRAY(Text), nullable=False),
    Column("state", JSONB, nullable=False, server_default=text("'{}'")),
    PrimaryKeyConstraint("tenant_id", "digest", name="web_session_pkey"),
)
Index("web_session_person", web_session.c.tenant_id, web_session.c.person_id, web_session.c.created)
Index("web_session_expires", web_session.c.tenant_id, web_session.c.expires)

clinic_setting = Table(
    "clinic_setting",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("name", TEXT_C, nullable=False),
    Column("value", JSONB, nullable=False),
    PrimaryKeyConstraint("tenant_id", "name", name="clinic_setting_pkey"),
)

PEOPLE_TABLES = (person, second_factor, sign_in_failure, web_session, clinic_setting)
"""Those with row level security."""
