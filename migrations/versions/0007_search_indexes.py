"""Indexes for intervals longer than a day and numbers that are ranges; how closely the planner looks at values.

The new indexes are small: nearly all intervals are short and nearly all numbers are points.
docs/decisions/0012-few-or-walk.md
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_STATEMENTS = (
    # The limit is written so that no end of time overflows.
    "CREATE INDEX idx_date_long ON idx_date (tenant_id, param, high, low, rid) WHERE low < high - 86400000000",
    "CREATE INDEX idx_quantity_wide ON idx_quantity (tenant_id, param, high, low, rid) WHERE high > low",
    # All tenants share the statistics of a column: a hundred common values would be those of the largest alone.
    "ALTER TABLE idx_token ALTER COLUMN hash SET STATISTICS 1000",
    "ALTER TABLE idx_reference ALTER COLUMN target SET STATISTICS 1000",
    "ALTER TABLE idx_string ALTER COLUMN value SET STATISTICS 500",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.get_bind().exec_driver_sql(statement)
