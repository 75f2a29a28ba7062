-- Who cares for whom, and what patients consent to: derived from the resources. docs/care.md

-- Keys as in resource.key; kinds are those of fhir_server/access/relations.py. source is the rid of the resource that says
-- so, times are microseconds since 1970 UTC, [low, high).
CREATE TABLE care_relation (
    tenant_id int NOT NULL,
    person bigint NOT NULL,
    patient bigint NOT NULL,
    source bigint NOT NULL,
    low bigint NOT NULL,
    high bigint NOT NULL,
    kind smallint NOT NULL,
    CONSTRAINT care_relation_pkey PRIMARY KEY (tenant_id, person, patient, kind, source)
);
CREATE INDEX care_relation_patient ON care_relation (tenant_id, patient, person);
CREATE INDEX care_relation_source ON care_relation (tenant_id, source);

-- What the provisions of a consent say, each by itself; NULL is any. Of those of one consent that match, the deepest counts,
-- and of those the one that denies.
CREATE TABLE consent_rule (
    tenant_id int NOT NULL,
    patient bigint NOT NULL,
    source bigint NOT NULL,
    low bigint NOT NULL,
    high bigint NOT NULL,
    data_low bigint NOT NULL,
    data_high bigint NOT NULL,
    number smallint NOT NULL,
    depth smallint NOT NULL,
    permit boolean NOT NULL,
    types smallint[],
    tokens bigint[],
    labels bigint[],
    actors bigint[],
    CONSTRAINT consent_rule_pkey PRIMARY KEY (tenant_id, patient, source, number)
);
CREATE INDEX consent_rule_source ON consent_rule (tenant_id, source);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['care_relation', 'consent_rule'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant_isolation ON %I USING '
                       '(tenant_id = nullif(current_setting(''fhir.tenant'', true), '''')::int) WITH CHECK '
                       '(tenant_id = nullif(current_setting(''fhir.tenant'', true), '''')::int)', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO fhir_app', name);
    END LOOP;
END $$;
