"""Full text: words and phrases as hashes, and which resource types lack them."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Without parameters psycopg sends the script in one message, as psql would.
    op.get_bind().connection.driver_connection.execute(Path(__file__).with_suffix(".sql").read_text())
