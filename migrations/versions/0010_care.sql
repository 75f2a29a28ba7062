-- Who cares for whom, and what patients consent to: derived from the resources. docs/care.md

-- Keys as in resource.key; kinds are those of fhir_server/access/relations.py. source is the rid of the resource that says
-- so, or the negative id of an assignment or of a broken glass; times are microseconds since 1970 UTC, [low, high). One
-- resource may say so of several times, which do not overlap.
CREATE TABLE care_relation (
    tenant_id int NOT NULL,
    person bigint NOT NULL,
    patient bigint NOT NULL,
    source bigint NOT NULL,
    low bigint NOT NULL,
    high bigint NOT NULL,
    kind smallint NOT NULL,
    CONSTRAINT care_relation_pkey PRIMARY KEY (tenant_id, person, patient, kind, source, low)
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
    number int NOT NULL,
    depth smallint NOT NULL,
    permit boolean NOT NULL,
    types smallint[],
    tokens bigint[],
    labels bigint[],
    actors bigint[],
    resources bigint[],
    CONSTRAINT consent_rule_pkey PRIMARY KEY (tenant_id, patient, source, number)
);
CREATE INDEX consent_rule_source ON consent_rule (tenant_id, source);

CREATE SEQUENCE care_source AS bigint;

-- What somebody of the clinic has said of a person and a patient: kind 7 cares for, 8 represents in a matter.
CREATE TABLE assignment (
    tenant_id int NOT NULL,
    id bigint NOT NULL DEFAULT nextval('care_source'),
    person bigint NOT NULL,
    patient bigint NOT NULL,
    low bigint NOT NULL,
    high bigint NOT NULL,
    created bigint NOT NULL,
    revoked bigint,
    kind smallint NOT NULL,
    person_name text COLLATE "C" NOT NULL,
    patient_id text COLLATE "C" NOT NULL,
    matter text COLLATE "C" NOT NULL,
    reason text COLLATE "C" NOT NULL,
    created_by text COLLATE "C" NOT NULL,
    revoked_by text COLLATE "C" NOT NULL DEFAULT '',
    CONSTRAINT assignment_pkey PRIMARY KEY (tenant_id, id)
);
CREATE INDEX assignment_patient ON assignment (tenant_id, patient, id);
CREATE INDEX assignment_person ON assignment (tenant_id, person, id);

-- Who looked at a patient that was not theirs, and why; somebody is to acknowledge it.
CREATE TABLE break_glass (
    tenant_id int NOT NULL,
    id bigint NOT NULL DEFAULT nextval('care_source'),
    person bigint NOT NULL,
    patient bigint NOT NULL,
    at bigint NOT NULL,
    until bigint NOT NULL,
    acknowledged bigint,
    subject text COLLATE "C" NOT NULL,
    patient_id text COLLATE "C" NOT NULL,
    reason text COLLATE "C" NOT NULL,
    acknowledged_by text COLLATE "C" NOT NULL DEFAULT '',
    CONSTRAINT break_glass_pkey PRIMARY KEY (tenant_id, id)
);
CREATE INDEX break_glass_open ON break_glass (tenant_id, id) WHERE acknowledged IS NULL;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['care_relation', 'consent_rule', 'assignment', 'break_glass'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant_isolation ON %I USING '
                       '(tenant_id = nullif(current_setting(''fhir.tenant'', true), '''')::int) WITH CHECK '
                       '(tenant_id = nullif(current_setting(''fhir.tenant'', true), '''')::int)', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO fhir_app', name);
    END LOOP;
END $$;
-- Both are a record of who did what: nothing is taken out of them.
REVOKE DELETE ON assignment, break_glass FROM fhir_app;
GRANT USAGE ON SEQUENCE care_source TO fhir_app;

-- Make the relations and rules that one resource is the source of those given, touching only what differs; NULL where its type
-- is the source of none. p_relations: [{"n" person, "p" patient, NULL for the resource itself, "d" kind, "l" low, "h" high}];
-- p_rules: the columns of consent_rule by their names.
CREATE FUNCTION fhir_care_difference(p_tenant int, p_rid bigint, p_key bigint, p_relations jsonb, p_rules jsonb)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF p_relations IS NOT NULL THEN
        DELETE FROM care_relation c WHERE c.tenant_id = p_tenant AND c.source = p_rid
           AND NOT EXISTS (SELECT FROM jsonb_to_recordset(p_relations) AS x(n bigint, p bigint, d smallint, l bigint, h bigint)
                            WHERE x.n = c.person AND coalesce(x.p, p_key) = c.patient AND x.d = c.kind AND x.l = c.low
                              AND x.h = c.high);
        INSERT INTO care_relation (tenant_id, person, patient, source, low, high, kind)
        SELECT p_tenant, x.n, coalesce(x.p, p_key), p_rid, x.l, x.h, x.d
          FROM jsonb_to_recordset(p_relations) AS x(n bigint, p bigint, d smallint, l bigint, h bigint)
        ON CONFLICT DO NOTHING;
    END IF;
    IF p_rules IS NOT NULL THEN
        -- They are few and seldom change; what one says is compared as a whole.
        DELETE FROM consent_rule k WHERE k.tenant_id = p_tenant AND k.source = p_rid
           AND NOT EXISTS (SELECT FROM jsonb_populate_recordset(NULL::consent_rule, p_rules) x
                            WHERE (x.patient, x.number, x.depth, x.permit, x.low, x.high, x.data_low, x.data_high)
                                = (k.patient, k.number, k.depth, k.permit, k.low, k.high, k.data_low, k.data_high)
                              AND (x.types, x.tokens, x.labels, x.actors, x.resources)
                                  IS NOT DISTINCT FROM (k.types, k.tokens, k.labels, k.actors, k.resources));
        INSERT INTO consent_rule (tenant_id, patient, source, low, high, data_low, data_high, number, depth, permit, types,
                                  tokens, labels, actors, resources)
        SELECT p_tenant, x.patient, p_rid, x.low, x.high, x.data_low, x.data_high, x.number, x.depth, x.permit, x.types,
               x.tokens, x.labels, x.actors, x.resources
          FROM jsonb_populate_recordset(NULL::consent_rule, p_rules) x
        ON CONFLICT DO NOTHING;
    END IF;
END $$;

-- The same for a resource that was just written, found by its key. p_new says that it has been the source of nothing yet.
CREATE FUNCTION fhir_care(p_tenant int, p_key bigint, p_new boolean, p_relations jsonb, p_rules jsonb)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_rid bigint;
BEGIN
    IF p_new AND coalesce(p_relations, '[]') = '[]' AND coalesce(p_rules, '[]') = '[]' THEN
        RETURN;
    END IF;
    SELECT r.rid INTO v_rid FROM resource r WHERE r.tenant_id = p_tenant AND r.key = p_key;
    IF p_relations = '[]' THEN
        DELETE FROM care_relation c WHERE c.tenant_id = p_tenant AND c.source = v_rid;
    ELSE
        PERFORM fhir_care_difference(p_tenant, v_rid, p_key, p_relations, p_rules);
    END IF;
END $$;

-- The same for resources that were just created: each relation and rule has the key of its source as "k".
CREATE FUNCTION fhir_care_many(p_tenant int, p_relations jsonb, p_rules jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF p_relations IS NOT NULL THEN
        INSERT INTO care_relation (tenant_id, person, patient, source, low, high, kind)
        SELECT p_tenant, x.n, coalesce(x.p, x.k), s.rid, x.l, x.h, x.d
          FROM jsonb_to_recordset(p_relations) AS x(k bigint, n bigint, p bigint, d smallint, l bigint, h bigint)
         CROSS JOIN LATERAL (SELECT r.rid FROM resource r WHERE r.tenant_id = p_tenant AND r.key = x.k OFFSET 0) s
        ON CONFLICT DO NOTHING;
    END IF;
    IF p_rules IS NOT NULL THEN
        INSERT INTO consent_rule (tenant_id, patient, source, low, high, data_low, data_high, number, depth, permit, types,
                                  tokens, labels, actors, resources)
        SELECT p_tenant, x.patient, s.rid, x.low, x.high, x.data_low, x.data_high, x.number, x.depth, x.permit, x.types,
               x.tokens, x.labels, x.actors, x.resources
          FROM jsonb_to_recordset(p_rules) AS x(
                   k bigint, patient bigint, low bigint, high bigint, data_low bigint, data_high bigint, number int,
                   depth smallint, permit boolean, types smallint[], tokens bigint[], labels bigint[], actors bigint[],
                   resources bigint[])
         CROSS JOIN LATERAL (SELECT r.rid FROM resource r WHERE r.tenant_id = p_tenant AND r.key = x.k OFFSET 0) s
        ON CONFLICT DO NOTHING;
    END IF;
END $$;

-- As for the functions of 0001_store.sql.
DO $$
DECLARE
    f text;
BEGIN
    FOREACH f IN ARRAY ARRAY['fhir_care', 'fhir_care_many', 'fhir_care_difference'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET plan_cache_mode = force_generic_plan', f);
        EXECUTE format('ALTER FUNCTION %s SET enable_seqscan = off', f);
    END LOOP;
END $$;
-- Old and new rows are compared as sets, as in fhir_index_difference.
ALTER FUNCTION fhir_care_difference SET enable_nestloop = off;

-- Relations and rules of what is stored are made by a run that indexes it anew, unless one is waiting that will: the keys of the
-- hashes are known to the server alone. A run that should have begun an hour ago is taken up within a minute.
DO $$
DECLARE
    clinic int;
    present text[];
BEGIN
    FOR clinic IN SELECT id FROM tenant ORDER BY id LOOP
        PERFORM set_config('fhir.tenant', clinic::text, true);
        present := ARRAY(
            SELECT t.name FROM resource_type t
             WHERE t.name IN ('Appointment', 'CareTeam', 'Consent', 'Encounter', 'Patient', 'ServiceRequest')
               AND EXISTS (SELECT FROM resource r
                            WHERE r.tenant_id = clinic AND r.type_id = t.id AND NOT r.deleted OFFSET 0)
             ORDER BY t.name);
        IF cardinality(present) > 0 AND NOT EXISTS (
            SELECT FROM reindex_run u WHERE u.tenant_id = clinic AND u.state = 'waiting' AND u.reason = 'upgrade'
               AND u.types @> present
        ) THEN
            INSERT INTO reindex_run (tenant_id, id, reason, types, state, ready)
            VALUES (clinic, gen_random_uuid()::text, 'upgrade', present, 'waiting', now() - interval '1 hour');
            INSERT INTO search_parameter_change VALUES (clinic, 1, 0, true)
            ON CONFLICT (tenant_id) DO UPDATE SET version = search_parameter_change.version + 1, unfinished = true;
        END IF;
    END LOOP;
    PERFORM set_config('fhir.tenant', '', true);
END $$;
