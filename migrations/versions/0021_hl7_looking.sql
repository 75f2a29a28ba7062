-- What the gateway asks of all clinics at once: whose messages wait, and how feeds are doing, in numbers.
-- Times are microseconds since 1970 UTC. docs/hl7.md

-- Row level security is forced on the owner too, as whom these functions run.
CREATE POLICY read_by_owner ON hl7_queue FOR SELECT TO CURRENT_USER USING (true);
CREATE POLICY read_by_owner ON hl7_message FOR SELECT TO CURRENT_USER USING (true);
CREATE POLICY read_by_owner ON hl7_alert FOR SELECT TO CURRENT_USER USING (true);

-- The clinics of which messages wait. It steps from clinic to clinic in the primary key, so that it costs the same
-- however many messages of one wait. What runs in a transaction of a clinic is told nothing of others.
-- https://wiki.postgresql.org/wiki/Loose_indexscan
CREATE FUNCTION hl7_waiting_clinics() RETURNS TABLE (tenant_id int)
LANGUAGE sql STABLE SECURITY DEFINER SET enable_seqscan = off SET enable_bitmapscan = off AS $$
    WITH RECURSIVE clinic AS (
        (SELECT q.tenant_id AS number FROM hl7_queue q ORDER BY q.tenant_id LIMIT 1)
        UNION ALL
        SELECT (SELECT q.tenant_id FROM hl7_queue q WHERE q.tenant_id > c.number ORDER BY q.tenant_id LIMIT 1)
          FROM clinic c WHERE c.number IS NOT NULL
    )
    SELECT t.id FROM clinic c JOIN tenant t ON t.id = c.number
     WHERE nullif(current_setting('fhir.tenant', true), '') IS NULL
$$;

-- Of each feed of which there is anything to tell: how many messages wait and since when, how many are dead letters, how
-- many alerts are open, and how many are to be told by a time. Numbers only.
CREATE FUNCTION hl7_all_figures(until bigint) RETURNS TABLE (
    tenant_id int, feed_id int, waiting bigint, oldest bigint, dead bigint, alerts bigint, untold bigint
) LANGUAGE sql STABLE SECURITY DEFINER AS $$
    WITH queued AS (
        SELECT q.tenant_id, q.feed_id, count(*) AS number, min(q.message_id) AS first
          FROM hl7_queue q GROUP BY q.tenant_id, q.feed_id
    ), figure AS (
        SELECT q.tenant_id, q.feed_id, q.number AS waiting,
               (SELECT m.received FROM hl7_message m WHERE m.tenant_id = q.tenant_id AND m.id = q.first) AS oldest,
               0::bigint AS dead, 0::bigint AS alerts, 0::bigint AS untold
          FROM queued q
        UNION ALL
        SELECT m.tenant_id, m.feed_id, 0, 0, count(*), 0, 0
          FROM hl7_message m WHERE m.state = 'dead' GROUP BY m.tenant_id, m.feed_id
        UNION ALL
        SELECT a.tenant_id, a.feed_id, 0, 0, 0, count(*), 0
          FROM hl7_alert a WHERE a.cleared = 0 GROUP BY a.tenant_id, a.feed_id
        UNION ALL
        SELECT a.tenant_id, a.feed_id, 0, 0, 0, 0, count(*)
          FROM hl7_alert a WHERE a.next_attempt > 0 AND a.next_attempt <= until GROUP BY a.tenant_id, a.feed_id
    )
    SELECT f.tenant_id, f.feed_id, max(f.waiting), max(f.oldest), max(f.dead), max(f.alerts), max(f.untold)
      FROM figure f JOIN tenant t ON t.id = f.tenant_id
     WHERE nullif(current_setting('fhir.tenant', true), '') IS NULL
     GROUP BY f.tenant_id, f.feed_id
$$;

DO $$
DECLARE
    f text;
BEGIN
    FOREACH f IN ARRAY ARRAY['hl7_waiting_clinics()', 'hl7_all_figures(bigint)'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', f, current_schema());
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO fhir_app', f);
    END LOOP;
END $$;
