"""The store: tenants, resources, history, search index, row level security."""

from __future__ import annotations

import secrets
from pathlib import Path

from alembic import op
from sqlalchemy import text

from fhir_server.r4 import definitions

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# CREATE ROLE IF NOT EXISTS does not exist; roles belong to the whole cluster and may be there already.
ROLE = """
DO $$ BEGIN
    CREATE ROLE fhir_app NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$
"""
# Whoever runs migrations may act as the application: an owner that connects with `-c role=fhir_app`.
MEMBERSHIP = "GRANT fhir_app TO CURRENT_USER"


def upgrade() -> None:
    connection = op.get_bind()
    connection.exec_driver_sql(ROLE)
    connection.exec_driver_sql(MEMBERSHIP)
    # Without parameters psycopg sends the script in one message, as psql would.
    connection.connection.driver_connection.execute(Path(__file__).with_suffix(".sql").read_text())
    connection.execute(
        text("INSERT INTO resource_type (id, name) VALUES (:id, :name)"),
        [{"id": number, "name": name} for name, number in definitions.load().type_ids.items()],
    )
    connection.execute(
        text("INSERT INTO server_secret (name, value) VALUES ('hash_key', :key)"), {"key": secrets.token_bytes(32)}
    )
