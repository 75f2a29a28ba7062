"""Who cares for whom, and what patients consent to: derived from the resources. docs/care.md"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, PrimaryKeyConstraint, SmallInteger, Table
from sqlalchemy.dialects.postgresql import ARRAY

from fhir_server.store.metadata import metadata

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
    PrimaryKeyConstraint("tenant_id", "person", "patient", "kind", "source", name="care_relation_pkey"),
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
    Column("number", SmallInteger, nullable=False),
    Column("depth", SmallInteger, nullable=False),
    Column("permit", Boolean, nullable=False),
    Column("types", ARRAY(SmallInteger)),
    Column("tokens", ARRAY(BigInteger)),
    Column("labels", ARRAY(BigInteger)),
    Column("actors", ARRAY(BigInteger)),
    PrimaryKeyConstraint("tenant_id", "patient", "source", "number", name="consent_rule_pkey"),
)
Index("consent_rule_source", consent_rule.c.tenant_id, consent_rule.c.source)

CARE_TABLES: tuple[Table, ...] = (care_relation, consent_rule)
"""Those that hold a tenant's data: each has row level security, forced."""
