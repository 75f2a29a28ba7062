"""What a first run has done already, so that it is done once and goes on where it was interrupted."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().exec_driver_sql(
        """
        CREATE TABLE first_run (
            step text COLLATE "C" CONSTRAINT first_run_pkey PRIMARY KEY,
            finished timestamptz NOT NULL DEFAULT now()
        )
        """
    )
