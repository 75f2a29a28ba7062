"""How long the searches of a tenant may take, where it is not what the deployment says for all."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().exec_driver_sql("ALTER TABLE tenant ADD COLUMN search_timeout_ms int")
