"""Messages that wait are kept in order by Patients, not by numbers alone. docs/decisions/0018-messages-in-order.md"""

from __future__ import annotations

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_STATEMENTS = (
    # What waited before knows neither, and is kept in order by the numbers that it names, as it was.
    "ALTER TABLE hl7_queue ADD COLUMN tokens bigint[] NOT NULL DEFAULT '{}'",
    "ALTER TABLE hl7_queue ADD COLUMN keys bigint[] NOT NULL DEFAULT '{}'",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.get_bind().exec_driver_sql(statement)
