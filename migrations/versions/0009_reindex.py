"""Resources stored before have their index built anew, in the background: it holds more than it did.

Quantities in UCUM's base units, identifiers by their type, URIs by their beginning, canonical URLs, words of texts. The
keys of the hashes are known to the server alone, so that no statement of a migration could write them.
"""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# The owner is held to row level security too. A run that should have begun an hour ago is taken up within a minute.
_RUNS = """
DO $$
DECLARE
    clinic int;
    present text[];
BEGIN
    FOR clinic IN SELECT id FROM tenant ORDER BY id LOOP
        PERFORM set_config('fhir.tenant', clinic::text, true);
        present := ARRAY(
            SELECT t.name FROM resource_type t
             WHERE EXISTS (SELECT FROM resource r
                            WHERE r.tenant_id = clinic AND r.type_id = t.id AND NOT r.deleted OFFSET 0)
             ORDER BY t.name);
        IF cardinality(present) > 0 THEN
            INSERT INTO reindex_run (tenant_id, id, reason, types, state, ready)
            VALUES (clinic, gen_random_uuid()::text, 'upgrade', present, 'waiting', now() - interval '1 hour');
            INSERT INTO search_parameter_change VALUES (clinic, 1, 0, true)
            ON CONFLICT (tenant_id) DO UPDATE SET version = search_parameter_change.version + 1, unfinished = true;
        END IF;
    END LOOP;
END $$
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(_RUNS)
