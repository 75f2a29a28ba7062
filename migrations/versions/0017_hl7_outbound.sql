-- Systems that are told by messages of HL7 v2 what has changed, and what waits to be told or was.
-- Times are microseconds since 1970 UTC. docs/hl7-outbound.md

CREATE SEQUENCE hl7_destination_id AS int;
CREATE SEQUENCE hl7_outbox_id;
GRANT USAGE ON SEQUENCE hl7_destination_id, hl7_outbox_id TO fhir_app;

-- The sender has to know the destinations of all clinics, so that rows can be read without a tenant; they hold addresses, names
-- of files and rules, neither secrets nor anything of patients. feed_id is the feed that the same system sends by, 0 for none.
CREATE TABLE hl7_destination (
    tenant_id int NOT NULL,
    id int NOT NULL DEFAULT nextval('hl7_destination_id'),
    created bigint NOT NULL,
    changed bigint NOT NULL,
    feed_id int NOT NULL DEFAULT 0,
    paused boolean NOT NULL DEFAULT false,
    name text COLLATE "C" NOT NULL,
    type_ids smallint[] NOT NULL,
    configuration jsonb NOT NULL,
    CONSTRAINT hl7_destination_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT hl7_destination_name UNIQUE (tenant_id, name)
);
ALTER TABLE hl7_destination ENABLE ROW LEVEL SECURITY;
ALTER TABLE hl7_destination FORCE ROW LEVEL SECURITY;
CREATE POLICY read_all ON hl7_destination FOR SELECT USING (true);
CREATE POLICY insert_own ON hl7_destination FOR INSERT
    WITH CHECK (tenant_id = nullif(current_setting('fhir.tenant', true), '')::int);
CREATE POLICY update_own ON hl7_destination FOR UPDATE USING (tenant_id = nullif(current_setting('fhir.tenant', true), '')::int)
    WITH CHECK (tenant_id = nullif(current_setting('fhir.tenant', true), '')::int);
CREATE POLICY delete_own ON hl7_destination FOR DELETE USING (tenant_id = nullif(current_setting('fhir.tenant', true), '')::int);
GRANT SELECT, INSERT, UPDATE, DELETE ON hl7_destination TO fhir_app;

-- One version of a resource for one destination. state: waiting, sent, dead (refused, or impossible to say), skipped (no rule
-- wants it, or a later version says it). The message is made once: what is sent again is the same bytes.
CREATE TABLE hl7_outbox (
    tenant_id int NOT NULL,
    destination_id int NOT NULL,
    id bigint NOT NULL DEFAULT nextval('hl7_outbox_id'),
    key bigint NOT NULL,
    patient bigint NOT NULL,
    created bigint NOT NULL,
    next_attempt bigint NOT NULL DEFAULT 0,
    settled bigint NOT NULL DEFAULT 0,
    version int NOT NULL,
    attempts int NOT NULL DEFAULT 0,
    type_id smallint NOT NULL,
    state text COLLATE "C" NOT NULL DEFAULT 'waiting',
    resource_id text COLLATE "C" NOT NULL,
    event text COLLATE "C" NOT NULL DEFAULT '',
    control_id text COLLATE "C" NOT NULL DEFAULT '',
    message bytea,
    acknowledgment bytea,
    problem jsonb,
    CONSTRAINT hl7_outbox_pkey PRIMARY KEY (tenant_id, id)
);
CREATE INDEX hl7_outbox_waiting ON hl7_outbox (tenant_id, destination_id, id) WHERE state = 'waiting';
-- What was told of a resource before, and whether a later version waits.
CREATE INDEX hl7_outbox_key ON hl7_outbox (tenant_id, destination_id, key, version);
CREATE INDEX hl7_outbox_dead ON hl7_outbox (tenant_id, destination_id, id) WHERE state = 'dead';
ALTER TABLE hl7_outbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE hl7_outbox FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON hl7_outbox USING (tenant_id = nullif(current_setting('fhir.tenant', true), '')::int)
    WITH CHECK (tenant_id = nullif(current_setting('fhir.tenant', true), '')::int);
-- What was sent is kept as long as the clinic: no process takes it away.
GRANT SELECT, INSERT, UPDATE ON hl7_outbox TO fhir_app;
ALTER TABLE hl7_outbox SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- What a statement has written, for the destinations that want it. A tenant without any pays for one look into an index.
-- What came by a feed (fhir.hl7_feed) does not go back to the system that sent it.
CREATE FUNCTION hl7_outbox_created() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    tenant int := nullif(current_setting('fhir.tenant', true), '')::int;
    feed int;
BEGIN
    IF EXISTS (SELECT FROM hl7_destination d WHERE d.tenant_id = tenant) THEN
        feed := coalesce(nullif(current_setting('fhir.hl7_feed', true), '')::int, 0);
        INSERT INTO hl7_outbox (tenant_id, destination_id, key, patient, created, version, type_id, resource_id)
        SELECT n.tenant_id, d.id, n.key, coalesce(n.patient, n.key), n.last_updated, n.version, n.type_id, n.id
          FROM written n JOIN hl7_destination d ON d.tenant_id = n.tenant_id AND n.type_id = ANY(d.type_ids)
         WHERE NOT (d.feed_id <> 0 AND d.feed_id = feed)
         ORDER BY n.rid, d.id;
        IF FOUND THEN
            PERFORM pg_notify('hl7_outbox', tenant::text);
        END IF;
    END IF;
    RETURN NULL;
END $$;

-- The same for what there was before. An update that makes no version (an index that is built anew) tells nothing.
CREATE FUNCTION hl7_outbox_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    tenant int := nullif(current_setting('fhir.tenant', true), '')::int;
    feed int;
BEGIN
    IF EXISTS (SELECT FROM hl7_destination d WHERE d.tenant_id = tenant) THEN
        feed := coalesce(nullif(current_setting('fhir.hl7_feed', true), '')::int, 0);
        INSERT INTO hl7_outbox (tenant_id, destination_id, key, patient, created, version, type_id, resource_id)
        SELECT n.tenant_id, d.id, n.key, coalesce(n.patient, o.patient, n.key), n.last_updated, n.version, n.type_id, n.id
          FROM written n JOIN replaced o ON o.tenant_id = n.tenant_id AND o.rid = n.rid AND o.version <> n.version
          JOIN hl7_destination d ON d.tenant_id = n.tenant_id AND n.type_id = ANY(d.type_ids)
         WHERE NOT (d.feed_id <> 0 AND d.feed_id = feed)
         ORDER BY n.rid, d.id;
        IF FOUND THEN
            PERFORM pg_notify('hl7_outbox', tenant::text);
        END IF;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER hl7_outbox_created AFTER INSERT ON resource REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION hl7_outbox_created();
CREATE TRIGGER hl7_outbox_changed AFTER UPDATE ON resource REFERENCING NEW TABLE AS written OLD TABLE AS replaced
    FOR EACH STATEMENT EXECUTE FUNCTION hl7_outbox_changed();
