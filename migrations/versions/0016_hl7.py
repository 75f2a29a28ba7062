"""Messages of HL7 v2, as they came and what became of them. docs/hl7.md"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Several statements in one message, which the driver sends only without parameters.
    sql = Path(__file__).with_name("0016_hl7.sql").read_text()
    op.get_bind().connection.driver_connection.execute(sql)
