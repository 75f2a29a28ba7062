"""What the platform's people do to tenants, for processes that may not write to the table. docs/platform.md"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Several statements in one message, which the driver sends only without parameters.
    sql = Path(__file__).with_name("0015_platform.sql").read_text()
    op.get_bind().connection.driver_connection.execute(sql)
