"""Who may sign in at a clinic, with what, and who has. docs/people.md"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Several statements in one message, which the driver sends only without parameters.
    sql = Path(__file__).with_name("0013_people.sql").read_text()
    op.get_bind().connection.driver_connection.execute(sql)
