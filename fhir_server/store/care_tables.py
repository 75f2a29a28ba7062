"""Who cares for whom, and what patients consent to: derived from the resources. docs/care.md"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Sequence,
    SmallInteger,
    Table,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from fhir_server.store.metadata import TEXT_C, metadata

care_relation = Table(
    "care_relation",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("person", BigInteger, nullable=False),
    Column("patient", BigInteger, nullable=False),
    Column("source", BigInteger, nullable=False),
    Column("low", BigInteger, nullable=False),
    Column("high", BigInteger, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "person", "patient", "kind", "source", "low", name="care_relation_pkey"),
)
Index("care_relation_patient", care_relation.c.tenant_id, care_relation.c.patient, care_relation.c.person)
Index("care_relation_source", care_relation.c.tenant_id, care_relation.c.source)

consent_rule = Table(
    "consent_rule",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("patient", BigInteger, nullable=False),
    Column("source", BigInteger, nullable=False),
    Column("low", BigInteger, nullable=False),
    Column("high", BigInteger, nullable=False),
    Column("data_low", BigInteger, nullable=False),
    Column("data_high", BigInteger, nullable=False),
    Column("number", Integer, nullable=False),
    Column("depth", SmallInteger, nullable=False),
    Column("permit", Boolean, nullable=False),
    Column("types", ARRAY(SmallInteger)),
    Column("tokens", ARRAY(BigInteger)),
    Column("labels", ARRAY(BigInteger)),
    Column("actors", ARRAY(BigInteger)),
    Column("resources", ARRAY(BigInteger)),
    PrimaryKeyConstraint("tenant_id", "patient", "source", "number", name="consent_rule_pkey"),
)
Index("consent_rule_source", consent_rule.c.tenant_id, consent_rule.c.source)

care_source = Sequence("care_source", metadata=metadata, data_type=BigInteger)

assignment = Table(
    "assignment",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("id", BigInteger, nullable=False, server_default=text("nextval('care_source'::regclass)")),
    Column("person", BigInteger, nullable=False),
    Column("patient", BigInteger, nullable=False),
    Column("low", BigInteger, nullable=False),
    Column("high", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("revoked", BigInteger),
    Column("kind", SmallInteger, nullable=False),
    Column("person_name", TEXT_C, nullable=False),
    Column("patient_id", TEXT_C, nullable=False),
    Column("matter", TEXT_C, nullable=False),
    Column("reason", TEXT_C, nullable=False),
    Column("created_by", TEXT_C, nullable=False),
    Column("revoked_by", TEXT_C, nullable=False, server_default=text("''")),
    PrimaryKeyConstraint("tenant_id", "id", name="assignment_pkey"),
)
Index("assignment_patient", assignment.c.tenant_id, assignment.c.patient, assignment.c.id)
Index("assignment_person", assignment.c.tenant_id, assignment.c.person, assignment.c.id)

break_glass = Table(
    "break_glass",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("id", BigInteger, nullable=False, server_default=text("nextval('care_source'::regclass)")),
    Column("person", BigInteger, nullable=False),
    Column("patient", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("acknowledged", BigInteger),
    Column("subject", TEXT_C, nullable=False),
    Column("patient_id", TEXT_C, nullable=False),
    Column("reason", TEXT_C, nullable=False),
    Column("acknowledged_by", TEXT_C, nullable=False, server_default=text("''")),
    PrimaryKeyConstraint("tenant_id", "id", name="break_glass_pkey"),
)
Index(
    "break_glass_open",
    break_glass.c.tenant_id,
    break_glass.c.id,
    postgresql_where=break_glass.c.acknowledged.is_(None),
)

CARE_TABLES: tuple[Table, ...] = (care_relation, consent_rule, assignment, break_glass)
"""Those that hold a tenant's data: each has row level security, forced."""
