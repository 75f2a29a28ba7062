"""Whom a person is related to, asked of the database by name. docs/access.md"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Several statements in one message, which the driver sends only without parameters.
    sql = Path(__file__).with_name("0020_reach.sql").read_text()
    op.get_bind().connection.driver_connection.execute(sql)
