"""Clients, grants and what has been taken back: the authorization server's tables. docs/smart.md"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Several statements in one message, which the driver sends only without parameters.
    sql = Path(__file__).with_name("0014_oauth.sql").read_text()
    op.get_bind().connection.driver_connection.execute(sql)
