"""Changes that go to other systems as messages of HL7 v2. docs/hl7-outbound.md"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Several statements in one message, which the driver sends only without parameters.
    sql = Path(__file__).with_name("0017_hl7_outbound.sql").read_text()
    op.get_bind().connection.driver_connection.execute(sql)
