"""Search parameters that tenants define themselves, and the runs that build an index anew."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Several statements in one message, which the driver sends only without parameters.
    sql = Path(__file__).with_name("0006_search_parameters.sql").read_text()
    op.get_bind().connection.driver_connection.execute(sql)
