"""Dropped messages and rare types are found by indexes; a clinic is told nothing of all feeds. docs/hl7.md"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Several statements in one message, which the driver sends only without parameters.
    sql = Path(__file__).with_name("0023_hl7_finding.sql").read_text()
    op.get_bind().connection.driver_connection.execute(sql)
