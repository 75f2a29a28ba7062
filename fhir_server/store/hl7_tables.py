"""Messages of HL7 v2, who sends them, and what elements go back to. docs/hl7.md"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Sequence,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from fhir_server.store.metadata import TEXT_C, metadata

hl7_feed_id = Sequence("hl7_feed_id", metadata=metadata)
hl7_message_id = Sequence("hl7_message_id", metadata=metadata)

hl7_feed = Table(
    "hl7_feed",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("id", Integer, nullable=False, server_default=hl7_feed_id.next_value()),
    Column("created", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
    Column("paused", Boolean, nullable=False, server_default=text("false")),
    Column("name", TEXT_C, nullable=False),
    Column("configuration", JSONB, nullable=False),
    PrimaryKeyConstraint("tenant_id", "id", name="hl7_feed_pkey"),
    UniqueConstraint("tenant_id", "name", name="hl7_feed_name"),
)

hl7_message = Table(
    "hl7_message",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("id", BigInteger, nullable=False),
    Column("feed_id", Integer, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("received", BigInteger, nullable=False),
    Column("settled", BigInteger, nullable=False, server_default=text("0")),
    Column("replay_of", BigInteger, nullable=False, server_default=text("0")),
    Column("conflicting", Boolean, nullable=False, server_default=text("false")),
    Column("state", TEXT_C, nullable=False),
    Column("control_id", TEXT_C, nullable=False),
    Column("message_type", TEXT_C, nullable=False),
    Column("event", TEXT_C, nullable=False),
    Column("structure", TEXT_C, nullable=False, server_default=text("''")),
    Column("application", TEXT_C, nullable=False),
    Column("facility", TEXT_C, nullable=False),
    Column("map_version", TEXT_C, nullable=False, server_default=text("''")),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("acknowledgment", LargeBinary, nullable=False),
    Column("problem", JSONB),
    Column("warnings", JSONB),
    PrimaryKeyConstraint("tenant_id", "id", name="hl7_message_pkey"),
)
Index(
    "hl7_message_fingerprint",
    hl7_message.c.tenant_id,
    hl7_message.c.feed_id,
    hl7_message.c.fingerprint,
    unique=True,
    postgresql_where=text("replay_of = 0"),
)
Index("hl7_message_control_id", hl7_message.c.tenant_id, hl7_message.c.control_id)
Index(
    "hl7_message_dead",
    hl7_message.c.tenant_id,
    hl7_message.c.id,
    postgresql_where=text("state = 'dead'"),
)
Index(
    "hl7_message_dropped",
    hl7_message.c.tenant_id,
    hl7_message.c.id,
    postgresql_where=text("state = 'dropped'"),
)
Index(
    "hl7_message_kind",
    hl7_message.c.tenant_id,
    hl7_message.c.message_type,
    hl7_message.c.event,
    hl7_message.c.id,
    postgresql_where=text("state <> 'received'"),
)

hl7_message_patient = Table(
    "hl7_message_patient",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("patient", BigInteger, nullable=False),
    Column("message_id", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "patient", "message_id", name="hl7_message_patient_pkey"),
)

hl7_queue = Table(
    "hl7_queue",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("message_id", BigInteger, nullable=False),
    Column("feed_id", Integer, nullable=False),
    Column("patients", ARRAY(BigInteger), nullable=False),
    Column("tokens", ARRAY(BigInteger), nullable=False, server_default=text("'{}'")),
    Column("keys", ARRAY(BigInteger), nullable=False, server_default=text("'{}'")),
    PrimaryKeyConstraint("tenant_id", "message_id", name="hl7_queue_pkey"),
)

hl7_lineage = Table(
    "hl7_lineage",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("key", BigInteger, nullable=False),
    Column("entries", JSONB, nullable=False),
    PrimaryKeyConstraint("tenant_id", "key", name="hl7_lineage_pkey"),
)

HL7_TABLES = (hl7_feed, hl7_message, hl7_message_patient, hl7_queue, hl7_lineage)
