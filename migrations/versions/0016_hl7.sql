-- Messages of HL7 v2: who sends them, each as it came, those that wait, and what each element of a resource goes back to.
-- Times are microseconds since 1970 UTC. docs/hl7.md

CREATE SEQUENCE hl7_feed_id AS int;
CREATE SEQUENCE hl7_message_id;
GRANT USAGE ON SEQUENCE hl7_feed_id, hl7_message_id TO fhir_app;

-- A sender's connection. The listener has to know the feeds of all clinics before it knows whose message came, so that rows can
-- be read without a tenant; they hold addresses and identifier systems, neither secrets nor anything of patients.
CREATE TABLE hl7_feed (
    tenant_id int NOT NULL,
    id int NOT NULL DEFAULT nextval('hl7_feed_id'),
    created bigint NOT NULL,
    changed bigint NOT NULL,
    paused boolean NOT NULL DEFAULT false,
    name text COLLATE "C" NOT NULL,
    configuration jsonb NOT NULL,
    CONSTRAINT hl7_feed_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT hl7_feed_name UNIQUE (tenant_id, name)
);
ALTER TABLE hl7_feed ENABLE ROW LEVEL SECURITY;
ALTER TABLE hl7_feed FORCE ROW LEVEL SECURITY;
CREATE POLICY read_all ON hl7_feed FOR SELECT USING (true);
CREATE POLICY insert_own ON hl7_feed FOR INSERT WITH CHECK (tenant_id = nullif(current_setting('fhir.tenant', true), '')::int);
CREATE POLICY update_own ON hl7_feed FOR UPDATE USING (tenant_id = nullif(current_setting('fhir.tenant', true), '')::int)
    WITH CHECK (tenant_id = nullif(current_setting('fhir.tenant', true), '')::int);
CREATE POLICY delete_own ON hl7_feed FOR DELETE USING (tenant_id = nullif(current_setting('fhir.tenant', true), '')::int);
GRANT SELECT, INSERT, UPDATE, DELETE ON hl7_feed TO fhir_app;

-- state: received (waits, or is being converted), stored, dead (a dead letter), dropped (a dead letter that somebody has closed).
-- replay_of is the message that this one corrects, 0 for one that came over the wire.
CREATE TABLE hl7_message (
    tenant_id int NOT NULL,
    id bigint NOT NULL,
    feed_id int NOT NULL,
    attempts int NOT NULL DEFAULT 0,
    received bigint NOT NULL,
    settled bigint NOT NULL DEFAULT 0,
    replay_of bigint NOT NULL DEFAULT 0,
    -- Whether another message of this feed has the same control id and other bytes.
    conflicting boolean NOT NULL DEFAULT false,
    state text COLLATE "C" NOT NULL,
    control_id text COLLATE "C" NOT NULL,
    message_type text COLLATE "C" NOT NULL,
    event text COLLATE "C" NOT NULL,
    structure text COLLATE "C" NOT NULL DEFAULT '',
    application text COLLATE "C" NOT NULL,
    facility text COLLATE "C" NOT NULL,
    map_version text COLLATE "C" NOT NULL DEFAULT '',
    -- Of sender, control id and bytes: what a repeated message is known by.
    fingerprint bytea NOT NULL,
    raw bytea NOT NULL,
    acknowledgment bytea NOT NULL,
    -- Why it is a dead letter: code, place and text. What was not taken over as it was sent.
    problem jsonb,
    warnings jsonb,
    CONSTRAINT hl7_message_pkey PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX hl7_message_fingerprint ON hl7_message (tenant_id, feed_id, fingerprint) WHERE replay_of = 0;
CREATE INDEX hl7_message_control_id ON hl7_message (tenant_id, control_id);
CREATE INDEX hl7_message_dead ON hl7_message (tenant_id, id) WHERE state = 'dead';

-- The patients whom a message names: hashes of authority and number, by which messages are found and kept in order.
CREATE TABLE hl7_message_patient (
    tenant_id int NOT NULL,
    patient bigint NOT NULL,
    message_id bigint NOT NULL,
    CONSTRAINT hl7_message_patient_pkey PRIMARY KEY (tenant_id, patient, message_id)
);

-- The messages that wait. A worker holds the lock of a row while it converts the message; when it dies, nobody does.
CREATE TABLE hl7_queue (
    tenant_id int NOT NULL,
    message_id bigint NOT NULL,
    feed_id int NOT NULL,
    patients bigint[] NOT NULL,
    CONSTRAINT hl7_queue_pkey PRIMARY KEY (tenant_id, message_id)
);

-- What the elements of a resource go back to: by path and slot, digests of values with message, places and map version.
CREATE TABLE hl7_lineage (
    tenant_id int NOT NULL,
    key bigint NOT NULL,
    entries jsonb NOT NULL,
    CONSTRAINT hl7_lineage_pkey PRIMARY KEY (tenant_id, key)
);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['hl7_message', 'hl7_message_patient', 'hl7_queue', 'hl7_lineage'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant_isolation ON %I USING '
                       '(tenant_id = nullif(current_setting(''fhir.tenant'', true), '''')::int) WITH CHECK '
                       '(tenant_id = nullif(current_setting(''fhir.tenant'', true), '''')::int)', name);
    END LOOP;
    -- What came over the wire is kept as long as the clinic: no process takes it away.
    GRANT SELECT, INSERT, UPDATE ON hl7_message TO fhir_app;
    GRANT SELECT, INSERT ON hl7_message_patient TO fhir_app;
    GRANT SELECT, INSERT, UPDATE, DELETE ON hl7_queue, hl7_lineage TO fhir_app;
END $$;
ALTER TABLE hl7_queue SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
