"""The audit trail, chained for each clinic. docs/audit.md"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)

from fhir_server.store.metadata import TEXT_C, metadata

audit_record = Table(
    "audit_record",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("agent", BigInteger),
    Column("client", BigInteger),
    Column("id", Uuid, nullable=False),
    Column("outcome", SmallInteger, nullable=False),
    Column("kind", TEXT_C, nullable=False),
    Column("record", Text, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant_id", "seq", name="audit_record_pkey"),
    UniqueConstraint("tenant_id", "id", name="audit_record_id"),
)
Index("audit_record_agent", audit_record.c.tenant_id, audit_record.c.agent, audit_record.c.id)

audit_entity = Table(
    "audit_entity",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("key", BigInteger, nullable=False),
    Column("id", Uuid, nullable=False),
    PrimaryKeyConstraint("tenant_id", "key", "id", name="audit_entity_pkey"),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("tenant_id", Integer, nullable=False, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant_id", name="audit_head_pkey"),
)

AUDIT_TABLES: tuple[Table, ...] = (audit_record, audit_entity, audit_head)
"""Those that hold a tenant's data: each has row level security, forced."""
