"""What `fhir-server load` has loaded, so that a load that was cut short goes on and nothing is loaded twice."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Several statements in one message, which the driver sends only without parameters.
    op.get_bind().connection.driver_connection.execute(
        """
        CREATE TABLE load_progress (
            tenant_id int NOT NULL,
            resources int NOT NULL,
            changed timestamptz NOT NULL DEFAULT now(),
            digest bytea NOT NULL,
            pending int[] NOT NULL,
            CONSTRAINT load_progress_pkey PRIMARY KEY (tenant_id, digest)
        );
        ALTER TABLE load_progress ENABLE ROW LEVEL SECURITY;
        ALTER TABLE load_progress FORCE ROW LEVEL SECURITY;
        CREATE POLICY tenant_isolation ON load_progress
            USING (tenant_id = nullif(current_setting('fhir.tenant', true), '')::int);
        GRANT SELECT, INSERT, UPDATE, DELETE ON load_progress TO fhir_app
        """
    )
