-- Feeds and destinations that only their clinic sees, numbered messages, and alerts of the gateway.
-- Times are microseconds since 1970 UTC. docs/hl7.md

-- The listener has to know the feeds of all clinics before it knows whose message came, the sender all destinations. Each asks one
-- function for them, which runs as the owner; a session of a clinic sees that clinic's rows, and one without a clinic none. Row level
-- security is forced on the owner too, so that it has a policy of its own.
-- https://www.postgresql.org/docs/current/sql-createfunction.html#SQL-CREATEFUNCTION-SECURITY
DROP POLICY read_all ON hl7_feed;
CREATE POLICY read_own ON hl7_feed FOR SELECT USING (tenant_id = nullif(current_setting('fhir.tenant', true), '')::int);
CREATE POLICY read_by_owner ON hl7_feed FOR SELECT TO CURRENT_USER USING (true);
DROP POLICY read_all ON hl7_destination;
CREATE POLICY read_own ON hl7_destination FOR SELECT USING (tenant_id = nullif(current_setting('fhir.tenant', true), '')::int);
CREATE POLICY read_by_owner ON hl7_destination FOR SELECT TO CURRENT_USER USING (true);

CREATE FUNCTION hl7_all_feeds() RETURNS TABLE (
    tenant_id int, slug text, id int, name text, paused boolean, changed bigint, configuration jsonb
) LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT f.tenant_id, t.slug, f.id, f.name, f.paused, f.changed, f.configuration
      FROM hl7_feed f JOIN tenant t ON t.id = f.tenant_id ORDER BY f.id
$$;

CREATE FUNCTION hl7_all_destinations() RETURNS TABLE (
    tenant_id int, slug text, id int, name text, paused boolean, changed bigint, feed_id int, configuration jsonb
) LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT d.tenant_id, t.slug, d.id, d.name, d.paused, d.changed, d.feed_id, d.configuration
      FROM hl7_destination d JOIN tenant t ON t.id = d.tenant_id ORDER BY d.id
$$;

DO $$
DECLARE
    f text;
BEGIN
    FOREACH f IN ARRAY ARRAY['hl7_all_feeds()', 'hl7_all_destinations()'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', f, current_schema());
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO fhir_app', f);
    END LOOP;
END $$;

-- Whoever listens is told that a feed has come, changed or gone.
CREATE FUNCTION hl7_feed_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('hl7_feeds', '');
    RETURN NULL;
END $$;
CREATE TRIGGER hl7_feed_changed AFTER INSERT OR UPDATE OR DELETE ON hl7_feed
    FOR EACH STATEMENT EXECUTE FUNCTION hl7_feed_changed();

-- The number (MSH-13) that the next message of a feed must have; -1: any, which the others are counted from.
CREATE TABLE hl7_sequence (
    tenant_id int NOT NULL,
    feed_id int NOT NULL,
    expected bigint NOT NULL DEFAULT -1,
    CONSTRAINT hl7_sequence_pkey PRIMARY KEY (tenant_id, feed_id)
);

-- What somebody has to know of a feed. condition: silent, waiting, queue, dead, sequence, unusable. It is open until it is cleared:
-- there is one for each condition. amount says how much of it: seconds or messages. next_attempt is when it is to be
-- told next, 0: never; noted counts what there is to tell, so that what was told meanwhile is known.
CREATE SEQUENCE hl7_alert_id;
GRANT USAGE ON SEQUENCE hl7_alert_id TO fhir_app;
CREATE TABLE hl7_alert (
    tenant_id int NOT NULL,
    feed_id int NOT NULL,
    id bigint NOT NULL DEFAULT nextval('hl7_alert_id'),
    raised bigint NOT NULL,
    cleared bigint NOT NULL DEFAULT 0,
    acknowledged bigint NOT NULL DEFAULT 0,
    amount bigint NOT NULL DEFAULT 0,
    amount_acknowledged bigint NOT NULL DEFAULT 0,
    next_attempt bigint NOT NULL DEFAULT 0,
    attempts int NOT NULL DEFAULT 0,
    noted int NOT NULL DEFAULT 1,
    condition text COLLATE "C" NOT NULL,
    feed text COLLATE "C" NOT NULL,
    acknowledged_by text COLLATE "C" NOT NULL DEFAULT '',
    CONSTRAINT hl7_alert_pkey PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX hl7_alert_open ON hl7_alert (tenant_id, feed_id, condition) WHERE cleared = 0;
CREATE INDEX hl7_alert_untold ON hl7_alert (tenant_id, next_attempt) WHERE next_attempt > 0;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['hl7_sequence', 'hl7_alert'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant_isolation ON %I USING '
                       '(tenant_id = nullif(current_setting(''fhir.tenant'', true), '''')::int) WITH CHECK '
                       '(tenant_id = nullif(current_setting(''fhir.tenant'', true), '''')::int)', name);
    END LOOP;
    GRANT SELECT, INSERT, UPDATE, DELETE ON hl7_sequence TO fhir_app;
    -- What was told to somebody is kept.
    GRANT SELECT, INSERT, UPDATE ON hl7_alert TO fhir_app;
END $$;
