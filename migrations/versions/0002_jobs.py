"""The job queue: procrastinate's own tables and functions, for the application's role."""

from __future__ import annotations

from alembic import op
from procrastinate.schema import SchemaManager

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

GRANTS = """
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT c.relname FROM pg_class c
                 WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
                   AND c.relname LIKE 'procrastinate\\_%'
    LOOP
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO fhir_app', name);
    END LOOP;
    FOR name IN SELECT c.relname FROM pg_class c
                 WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'S'
                   AND c.relname LIKE 'procrastinate\\_%'
    LOOP
        EXECUTE format('GRANT USAGE, SELECT ON SEQUENCE %I TO fhir_app', name);
    END LOOP;
END $$
"""


def upgrade() -> None:
    # The schema comes from the installed library, so that queue and code are of one version; a later version of the
    # library that changes it comes with a migration here that runs the library's own SQL files.
    driver = op.get_bind().connection.driver_connection
    driver.execute(SchemaManager.get_schema())
    driver.execute(GRANTS)
