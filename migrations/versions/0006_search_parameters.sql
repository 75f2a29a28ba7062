-- Search parameters that tenants define themselves, and the runs that build an index anew. docs/search-parameters.md

-- One row for each SearchParameter in use: state is building, active, failed, or retired until its index rows are gone.
CREATE TABLE search_parameter (
    tenant_id int NOT NULL,
    shared boolean NOT NULL,
    id text COLLATE "C" NOT NULL,
    code text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    url text NOT NULL,
    expression text NOT NULL,
    state text COLLATE "C" NOT NULL,
    run text COLLATE "C" NOT NULL,
    error text NOT NULL DEFAULT '',
    types text[] NOT NULL,
    targets text[] NOT NULL,
    components jsonb NOT NULL,
    CONSTRAINT search_parameter_pkey PRIMARY KEY (tenant_id, shared, id)
);

-- One pass over the resources of some types that makes their index rows what they should be. state is waiting, building,
-- checking, finished, failed or superseded; (at_type, at_rid) is where it goes on, at_type counting from 0 in types.
CREATE TABLE reindex_run (
    tenant_id int NOT NULL,
    at_type int NOT NULL DEFAULT 0,
    at_rid bigint NOT NULL DEFAULT 0,
    done bigint NOT NULL DEFAULT 0,
    total bigint NOT NULL DEFAULT 0,
    horizon bigint,
    created timestamptz NOT NULL DEFAULT now(),
    ready timestamptz NOT NULL,
    started timestamptz,
    heartbeat timestamptz,
    finished timestamptz,
    id text COLLATE "C" NOT NULL,
    reason text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    error text NOT NULL DEFAULT '',
    types text[] NOT NULL,
    CONSTRAINT reindex_run_pkey PRIMARY KEY (tenant_id, id)
);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['search_parameter', 'reindex_run'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant_isolation ON %I USING '
                       '(tenant_id = nullif(current_setting(''fhir.tenant'', true), '''')::int)', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO fhir_app', name);
    END LOOP;
END $$;

-- Numbers alone, for all tenants together: what every process asks for, and who has work to be done.
CREATE TABLE search_parameter_change (
    tenant_id int NOT NULL,
    version bigint NOT NULL,
    generation bigint NOT NULL,
    unfinished boolean NOT NULL,
    CONSTRAINT search_parameter_change_pkey PRIMARY KEY (tenant_id)
);
GRANT SELECT, INSERT, UPDATE ON search_parameter_change TO fhir_app;

-- What the operator has installed for every tenant, those to come too.
CREATE TABLE shared_search_parameter (
    id text COLLATE "C" NOT NULL,
    definition jsonb NOT NULL,
    CONSTRAINT shared_search_parameter_pkey PRIMARY KEY (id)
);
GRANT SELECT ON shared_search_parameter TO fhir_app;

-- Make what the row itself holds of the index what it should be, without a new version; fhir_index_difference does the rest.
--
-- Nothing happens where another version is current than the one that was indexed: whoever wrote it has indexed it.
-- status: 'reindexed', 'changed', or 'locked' where p_wait is false and somebody is writing it.
CREATE FUNCTION fhir_reindex_row(
    p_tenant int, p_key bigint, p_version int, p_wait boolean,
    p_patient bigint, p_date_low bigint, p_date_high bigint, p_tokens bigint[], p_params int[],
    OUT status text, OUT row_rid bigint
) LANGUAGE plpgsql AS $$
DECLARE
    old record;
BEGIN
    PERFORM set_config('fhir.tenant', p_tenant::text, true);
    IF p_wait THEN
        SELECT r.rid, r.version, r.deleted, r.patient, r.date_low, r.date_high, r.tokens, r.params INTO old
          FROM resource r WHERE r.tenant_id = p_tenant AND r.key = p_key FOR UPDATE;
    ELSE
        SELECT r.rid, r.version, r.deleted, r.patient, r.date_low, r.date_high, r.tokens, r.params INTO old
          FROM resource r WHERE r.tenant_id = p_tenant AND r.key = p_key FOR UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
            status := 'locked';
            RETURN;
        END IF;
    END IF;
    IF old.rid IS NULL OR old.deleted OR old.version <> p_version THEN
        status := 'changed';
        RETURN;
    END IF;
    status := 'reindexed';
    row_rid := old.rid;
    IF (old.patient, old.date_low, old.date_high) IS DISTINCT FROM (p_patient, p_date_low, p_date_high)
       OR (old.tokens <> p_tokens
           AND ARRAY(SELECT unnest(old.tokens) t ORDER BY t) <> ARRAY(SELECT unnest(p_tokens) t ORDER BY t))
       OR (old.params <> p_params
           AND ARRAY(SELECT unnest(old.params) t ORDER BY t) <> ARRAY(SELECT unnest(p_params) t ORDER BY t)) THEN
        UPDATE resource r
           SET patient = p_patient, date_low = p_date_low, date_high = p_date_high, tokens = p_tokens, params = p_params
         WHERE r.tenant_id = p_tenant AND r.rid = old.rid;
    END IF;
    -- Rows that are missing from the table are put there even where the resource's row has been right all the time.
    DELETE FROM idx_token t WHERE t.ctid = ANY (ARRAY(
        SELECT i.ctid
          FROM (SELECT unnest(old.tokens) EXCEPT SELECT unnest(p_tokens)) o(hash)
         CROSS JOIN LATERAL (SELECT x.ctid FROM idx_token x
                              WHERE x.tenant_id = p_tenant AND x.hash = o.hash AND x.rid = old.rid OFFSET 0) i));
    INSERT INTO idx_token SELECT p_tenant, n.hash, old.rid FROM unnest(p_tokens) n(hash) ON CONFLICT DO NOTHING;
END $$;
ALTER FUNCTION fhir_reindex_row SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION fhir_reindex_row SET enable_seqscan = off;
