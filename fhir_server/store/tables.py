"""The tables, as SQLAlchemy sees them; migrations create them and `migrate` asserts that they match.
docs/architecture.md"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Sequence,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from fhir_server.store.metadata import TEXT_C, metadata

tenant = Table(
    "tenant",
    metadata,
    Column("id", Integer, Identity(always=True), nullable=False),
    Column("slug", TEXT_C, nullable=False),
    Column("name", Text, nullable=False),
    Column("created", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("search_timeout_ms", Integer),
    PrimaryKeyConstraint("id", name="tenant_pkey"),
    UniqueConstraint("slug", name="tenant_slug_key"),
)

server_secret = Table(
    "server_secret",
    metadata,
    Column("name", TEXT_C, nullable=False),
    Column("value", LargeBinary, nullable=False),
    PrimaryKeyConstraint("name", name="server_secret_pkey"),
)

resource_type = Table(
    "resource_type",
    metadata,
    Column("id", SmallInteger, nullable=False, autoincrement=False),
    Column("name", TEXT_C, nullable=False),
    PrimaryKeyConstraint("id", name="resource_type_pkey"),
)

resource_rid = Sequence("resource_rid", metadata=metadata, data_type=BigInteger)

resource = Table(
    "resource",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("rid", BigInteger, nullable=False, server_default=text("nextval('resource_rid'::regclass)")),
    Column("key", BigInteger, nullable=False),
    Column("patient", BigInteger),
    Column("date_low", BigInteger),
    Column("date_high", BigInteger),
    Column("last_updated", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("type_id", SmallInteger, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("id", TEXT_C, nullable=False),
    Column("method", TEXT_C, nullable=False),
    Column("tokens", ARRAY(BigInteger), nullable=False),
    Column("params", ARRAY(Integer), nullable=False),
    Column("meta", JSONB),
    Column("body", JSONB),
    PrimaryKeyConstraint("tenant_id", "rid", name="resource_pkey"),
    UniqueConstraint("tenant_id", "key", name="resource_key"),
)
Index(
    "resource_patient",
    resource.c.tenant_id, resource.c.patient, resource.c.type_id, resource.c.date_low, resource.c.rid,
    postgresql_where=text("patient IS NOT NULL AND NOT deleted"),
)  # fmt: skip
Index("resource_updated", resource.c.tenant_id, resource.c.type_id, resource.c.last_updated, resource.c.rid)
Index("resource_listed", resource.c.tenant_id, resource.c.type_id, resource.c.rid, postgresql_where=text("NOT deleted"))

resource_history = Table(
    "resource_history",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("rid", BigInteger, nullable=False),
    Column("last_updated", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("type_id", SmallInteger, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("id", TEXT_C, nullable=False),
    Column("method", TEXT_C, nullable=False),
    Column("meta", JSONB),
    Column("body", JSONB),
    PrimaryKeyConstraint("tenant_id", "rid", "version", name="resource_history_pkey"),
)
Index(
    "resource_history_updated",
    resource_history.c.tenant_id,
    resource_history.c.type_id,
    resource_history.c.last_updated,
    resource_history.c.rid,
)

idx_token = Table(
    "idx_token",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("hash", BigInteger, nullable=False),
    Column("rid", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "hash", "rid", name="idx_token_pkey"),
)

idx_reference = Table(
    "idx_reference",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("param", Integer, nullable=False),
    Column("target", BigInteger, nullable=False),
    Column("rid", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "target", "param", "rid", name="idx_reference_pkey"),
)
Index("idx_reference_rid", idx_reference.c.tenant_id, idx_reference.c.rid)

idx_string = Table(
    "idx_string",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("param", Integer, nullable=False),
    Column("rid", BigInteger, nullable=False),
    Column("exact", BigInteger, nullable=False),
    Column("value", TEXT_C, nullable=False),
    PrimaryKeyConstraint("tenant_id", "param", "value", "rid", "exact", name="idx_string_pkey"),
)
Index("idx_string_rid", idx_string.c.tenant_id, idx_string.c.rid)

idx_date = Table(
    "idx_date",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("param", Integer, nullable=False),
    Column("low", BigInteger, nullable=False),
    Column("high", BigInteger, nullable=False),
    Column("rid", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "param", "low", "rid", "high", name="idx_date_pkey"),
)
Index("idx_date_high", idx_date.c.tenant_id, idx_date.c.param, idx_date.c.high, idx_date.c.rid)
Index("idx_date_rid", idx_date.c.tenant_id, idx_date.c.rid)
Index(
    "idx_date_long",
    idx_date.c.tenant_id, idx_date.c.param, idx_date.c.high, idx_date.c.low, idx_date.c.rid,
    postgresql_where=text("low < (high - '86400000000'::bigint)"),
)  # fmt: skip

idx_quantity = Table(
    "idx_quantity",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("param", Integer, nullable=False),
    Column("low", Double, nullable=False),
    Column("high", Double, nullable=False),
    Column("unit", BigInteger, nullable=False),
    Column("rid", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "param", "low", "rid", "unit", "high", name="idx_quantity_pkey"),
)
Index("idx_quantity_rid", idx_quantity.c.tenant_id, idx_quantity.c.rid)
Index(
    "idx_quantity_wide",
    idx_quantity.c.tenant_id, idx_quantity.c.param, idx_quantity.c.high, idx_quantity.c.low, idx_quantity.c.rid,
    postgresql_where=text("high > low"),
)  # fmt: skip

idx_composite = Table(
    "idx_composite",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("hash", BigInteger, nullable=False),
    Column("low", Double, nullable=False),
    Column("high", Double, nullable=False),
    Column("rid", BigInteger, nullable=False),
    Column("value", TEXT_C, nullable=False),
    PrimaryKeyConstraint("tenant_id", "hash", "low", "rid", "high", "value", name="idx_composite_pkey"),
)
Index("idx_composite_rid", idx_composite.c.tenant_id, idx_composite.c.rid)

idx_word = Table(
    "idx_word",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("place", Integer, nullable=False),
    Column("hash", BigInteger, nullable=False),
    Column("rid", BigInteger, nullable=False),
    Column("weight", SmallInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "hash", "rid", "place", name="idx_word_pkey"),
)
Index("idx_word_rid", idx_word.c.tenant_id, idx_word.c.rid)

idx_phrase = Table(
    "idx_phrase",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("weight", SmallInteger, nullable=False),
    Column("word", BigInteger, nullable=False),
    Column("phrase", BigInteger, nullable=False),
)
Index("idx_phrase_word", idx_phrase.c.tenant_id, idx_phrase.c.word, idx_phrase.c.phrase)
Index("idx_phrase_phrase", idx_phrase.c.tenant_id, idx_phrase.c.phrase)

word_gap = Table(
    "word_gap",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("type_id", SmallInteger, nullable=False),
    Column("since", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("closing", TEXT_C, nullable=False, server_default=text("''")),
)
Index("word_gap_type", word_gap.c.tenant_id, word_gap.c.type_id)

load_progress = Table(
    "load_progress",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("resources", Integer, nullable=False),
    Column("changed", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("digest", LargeBinary, nullable=False),
    Column("pending", ARRAY(Integer), nullable=False),
    PrimaryKeyConstraint("tenant_id", "digest", name="load_progress_pkey"),
)

search_parameter = Table(
    "search_parameter",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("shared", Boolean, nullable=False),
    Column("id", TEXT_C, nullable=False),
    Column("code", TEXT_C, nullable=False),
    Column("type", TEXT_C, nullable=False),
    Column("url", Text, nullable=False),
    Column("expression", Text, nullable=False),
    Column("state", TEXT_C, nullable=False),
    Column("run", TEXT_C, nullable=False),
    Column("error", Text, nullable=False, server_default=text("''")),
    Column("types", ARRAY(Text), nullable=False),
    Column("targets", ARRAY(Text), nullable=False),
    Column("components", JSONB, nullable=False),
    PrimaryKeyConstraint("tenant_id", "shared", "id", name="search_parameter_pkey"),
)

reindex_run = Table(
    "reindex_run",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("at_type", Integer, nullable=False, server_default=text("0")),
    Column("at_rid", BigInteger, nullable=False, server_default=text("0")),
    Column("done", BigInteger, nullable=False, server_default=text("0")),
    Column("total", BigInteger, nullable=False, server_default=text("0")),
    Column("horizon", BigInteger),
    Column("created", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("ready", DateTime(timezone=True), nullable=False),
    Column("started", DateTime(timezone=True)),
    Column("heartbeat", DateTime(timezone=True)),
    Column("finished", DateTime(timezone=True)),
    Column("id", TEXT_C, nullable=False),
    Column("reason", TEXT_C, nullable=False),
    Column("state", TEXT_C, nullable=False),
    Column("error", Text, nullable=False, server_default=text("''")),
    Column("types", ARRAY(Text), nullable=False),
    PrimaryKeyConstraint("tenant_id", "id", name="reindex_run_pkey"),
)

search_parameter_change = Table(
    "search_parameter_change",
    metadata,
    Column("tenant_id", Integer, nullable=False, autoincrement=False),
    Column("version", BigInteger, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("unfinished", Boolean, nullable=False),
    PrimaryKeyConstraint("tenant_id", name="search_parameter_change_pkey"),
)

shared_search_parameter = Table(
    "shared_search_parameter",
    metadata,
    Column("id", TEXT_C, nullable=False),
    Column("definition", JSONB, nullable=False),
    PrimaryKeyConstraint("id", name="shared_search_parameter_pkey"),
)

RESOURCE_TABLES = (
    resource, resource_history, idx_token, idx_reference, idx_string, idx_date, idx_quantity, idx_composite,
    load_progress, search_parameter, reindex_run, idx_word, idx_phrase, word_gap,
)  # fmt: skip
"""The tables of resources and their index: each has row level security, forced."""
