"""Whose messages wait, and how feeds are doing, asked of all clinics at once. docs/hl7.md"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Several statements in one message, which the driver sends only without parameters.
    sql = Path(__file__).with_name("0021_hl7_looking.sql").read_text()
    op.get_bind().connection.driver_connection.execute(sql)
