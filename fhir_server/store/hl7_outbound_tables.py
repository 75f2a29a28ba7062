"""Systems that are told what has changed, and what waits to be told or was. docs/hl7-outbound.md"""

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
    SmallInteger,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from fhir_server.store.metadata import TEXT_C, metadata

hl7_destination_id = Sequence("hl7_destination_id", metadata=metadata)
hl7_outbox_id = Sequence("hl7_outbox_id", metadata=metadata)

hl7_destination = Table(
    "hl7_destination",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("id", Integer, nullable=False, server_default=hl7_destination_id.next_value()),
    Column("created", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
    Column("feed_id", Integer, nullable=False, server_default=text("0")),
    Column("paused", Boolean, nullable=False, server_default=text("false")),
    Column("name", TEXT_C, nullable=False),
    Column("type_ids", ARRAY(SmallInteger), nullable=False),
    Column("configuration", JSONB, nullable=False),
    PrimaryKeyConstraint("tenant_id", "id", name="hl7_destination_pkey"),
    UniqueConstraint("tenant_id", "name", name="hl7_destination_name"),
)

hl7_outbox = Table(
    "hl7_outbox",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("destination_id", Integer, nullable=False),
    Column("id", BigInteger, nullable=False, server_default=hl7_outbox_id.next_value()),
    Column("key", BigInteger, nullable=False),
    Column("patient", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("next_attempt", BigInteger, nullable=False, server_default=text("0")),
    Column("settled", BigInteger, nullable=False, server_default=text("0")),
    Column("version", Integer, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("type_id", SmallInteger, nullable=False),
    Column("state", TEXT_C, nullable=False, server_default=text("'waiting'")),
    Column("resource_id", TEXT_C, nullable=False),
    Column("event", TEXT_C, nullable=False, server_default=text("''")),
    Column("control_id", TEXT_C, nullable=False, server_default=text("''")),
    Column("message", LargeBinary),
    Column("acknowledgment", LargeBinary),
    Column("problem", JSONB),
    PrimaryKeyConstraint("tenant_id", "id", name="hl7_outbox_pkey"),
)
Index(
    "hl7_outbox_key",
    hl7_outbox.c.tenant_id,
    hl7_outbox.c.destination_id,
    hl7_outbox.c.key,
    hl7_outbox.c.version,
)
for _state in ("waiting", "dead"):
    Index(
        f"hl7_outbox_{_state}",
        hl7_outbox.c.tenant_id,
        hl7_outbox.c.destination_id,
        hl7_outbox.c.id,
        postgresql_where=text(f"state = '{_state}'"),
    )

HL7_OUTBOUND_TABLES = (hl7_destination, hl7_outbox)
