"""Many resources brought to their next version in one statement. docs/architecture.md, "Rows" """

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Several statements in one message, which the driver sends only without parameters.
    sql = Path(__file__).with_name("0018_update_many.sql").read_text()
    op.get_bind().connection.driver_connection.execute(sql)
