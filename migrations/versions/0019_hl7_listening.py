"""Feeds that only their clinic sees, numbered messages, and alerts of the gateway. docs/hl7.md"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Several statements in one message, which the driver sends only without parameters.
    sql = Path(__file__).with_name("0019_hl7_listening.sql").read_text()
    op.get_bind().connection.driver_connection.execute(sql)
