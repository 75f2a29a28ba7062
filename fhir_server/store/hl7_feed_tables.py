"""What is known of feeds beside their messages: which number comes next, and what somebody has to know. docs/hl7.md"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, PrimaryKeyConstraint, Sequence, Table, text

from fhir_server.store.metadata import TEXT_C, metadata

hl7_alert_id = Sequence("hl7_alert_id", metadata=metadata)

hl7_sequence = Table(
    "hl7_sequence",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("feed_id", Integer, nullable=False),
    Column("expected", BigInteger, nullable=False, server_default=text("-1")),
    PrimaryKeyConstraint("tenant_id", "feed_id", name="hl7_sequence_pkey"),
)

hl7_alert = Table(
    "hl7_alert",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("feed_id", Integer, nullable=False),
    Column("id", BigInteger, nullable=False, server_default=hl7_alert_id.next_value()),
    Column("raised", BigInteger, nullable=False),
    Column("cleared", BigInteger, nullable=False, server_default=text("0")),
    Column("acknowledged", BigInteger, nullable=False, server_default=text("0")),
    Column("amount", BigInteger, nullable=False, server_default=text("0")),
    Column("amount_acknowledged", BigInteger, nullable=False, server_default=text("0")),
    Column("next_attempt", BigInteger, nullable=False, server_default=text("0")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("noted", Integer, nullable=False, server_default=text("1")),
    Column("condition", TEXT_C, nullable=False),
    Column("feed", TEXT_C, nullable=False),
    Column("acknowledged_by", TEXT_C, nullable=False, server_default=text("''")),
    PrimaryKeyConstraint("tenant_id", "id", name="hl7_alert_pkey"),
)
Index(
    "hl7_alert_open",
    hl7_alert.c.tenant_id,
    hl7_alert.c.feed_id,
    hl7_alert.c.condition,
    unique=True,
    postgresql_where=text("cleared = 0"),
)
Index(
    "hl7_alert_untold",
    hl7_alert.c.tenant_id,
    hl7_alert.c.next_attempt,
    postgresql_where=text("next_attempt > 0"),
)

HL7_FEED_TABLES = (hl7_sequence, hl7_alert)
