"""Temp."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute("""
CREATE TABLE care_relation (tenant_id int NOT NULL, person bigint NOT NULL, patient bigint NOT NULL, kind smallint NOT NULL, source bigint NOT NULL, low bigint NOT NULL, high bigint NOT NULL, PRIMARY KEY (tenant_id, person, patient, kind, source));
CREATE TABLE consent_rule (tenant_id int, patient bigint, source bigint, number smallint, permit boolean, PRIMARY KEY (tenant_id, patient, source, number));
GRANT SELECT, INSERT, UPDATE, DELETE ON care_relation, consent_rule TO fhir_app;
""")
