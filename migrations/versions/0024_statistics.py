"""Nothing is gathered of what no plan depends on. https://www.postgresql.org/docs/current/sql-analyze.html

The content of resources and messages is looked into by functions, never compared as a whole: to sort samples of it was
more than half of what ANALYZE did to these tables, on a core of which requests waited for their share.
"""

from __future__ import annotations

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_CONTENT = {
    "resource": ("meta", "body"),
    "resource_history": ("meta", "body"),
    "hl7_message": ("raw", "acknowledgment", "fingerprint", "problem", "warnings"),
    "hl7_lineage": ("entries",),
    "audit_record": ("record", "hash"),
}


def upgrade() -> None:
    for table, columns in _CONTENT.items():
        settings = ", ".join(f"ALTER COLUMN {column} SET STATISTICS 0" for column in columns)
        op.get_bind().exec_driver_sql(f"ALTER TABLE {table} {settings}")
