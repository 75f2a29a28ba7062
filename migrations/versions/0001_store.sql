-- The store of FHIR resources: tables, row level security, and the functions that read and write in one round trip.
-- docs/architecture.md, "Rows".

CREATE TABLE tenant (
    id int GENERATED ALWAYS AS IDENTITY,
    slug text COLLATE "C" NOT NULL,
    name text NOT NULL,
    created timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT tenant_pkey PRIMARY KEY (id),
    CONSTRAINT tenant_slug_key UNIQUE (slug)
);

CREATE TABLE server_secret (
    name text COLLATE "C" NOT NULL,
    value bytea NOT NULL,
    CONSTRAINT server_secret_pkey PRIMARY KEY (name)
);

CREATE TABLE resource_type (
    id smallint NOT NULL,
    name text COLLATE "C" NOT NULL,
    CONSTRAINT resource_type_pkey PRIMARY KEY (id)
);

CREATE SEQUENCE resource_rid AS bigint;

-- Fixed-width columns first: no padding between them.
CREATE TABLE resource (
    tenant_id int NOT NULL,
    version int NOT NULL,
    rid bigint NOT NULL DEFAULT nextval('resource_rid'),
    key bigint NOT NULL,
    patient bigint,
    date_low bigint,
    date_high bigint,
    last_updated bigint NOT NULL,
    type_id smallint NOT NULL,
    deleted boolean NOT NULL,
    id text COLLATE "C" NOT NULL,
    method text COLLATE "C" NOT NULL,
    tokens bigint[] NOT NULL,
    params int[] NOT NULL,
    meta jsonb,
    body jsonb,
    CONSTRAINT resource_pkey PRIMARY KEY (tenant_id, rid),
    CONSTRAINT resource_key UNIQUE (tenant_id, key)
);
CREATE INDEX resource_patient ON resource (tenant_id, patient, type_id, date_low, rid)
    WHERE patient IS NOT NULL AND NOT deleted;
CREATE INDEX resource_updated ON resource (tenant_id, type_id, last_updated, rid);
-- Listings go by rid, which no update changes: pages neither repeat nor lose a resource that is updated meanwhile.
CREATE INDEX resource_listed ON resource (tenant_id, type_id, rid) WHERE NOT deleted;
-- How common a type is depends on the tenant, and the same of parameters below.
CREATE STATISTICS resource_tenant_type (mcv) ON tenant_id, type_id FROM resource;

CREATE TABLE resource_history (
    tenant_id int NOT NULL,
    version int NOT NULL,
    rid bigint NOT NULL,
    last_updated bigint NOT NULL,
    type_id smallint NOT NULL,
    deleted boolean NOT NULL,
    id text COLLATE "C" NOT NULL,
    method text COLLATE "C" NOT NULL,
    meta jsonb,
    body jsonb,
    CONSTRAINT resource_history_pkey PRIMARY KEY (tenant_id, rid, version)
);
CREATE INDEX resource_history_updated ON resource_history (tenant_id, type_id, last_updated, rid);

CREATE TABLE idx_token (
    tenant_id int NOT NULL,
    hash bigint NOT NULL,
    rid bigint NOT NULL,
    CONSTRAINT idx_token_pkey PRIMARY KEY (tenant_id, hash, rid)
);

CREATE TABLE idx_reference (
    tenant_id int NOT NULL,
    param int NOT NULL,
    target bigint NOT NULL,
    rid bigint NOT NULL,
    CONSTRAINT idx_reference_pkey PRIMARY KEY (tenant_id, target, param, rid)
);
CREATE INDEX idx_reference_rid ON idx_reference (tenant_id, rid);
CREATE STATISTICS idx_reference_tenant_param (mcv) ON tenant_id, param FROM idx_reference;

CREATE TABLE idx_string (
    tenant_id int NOT NULL,
    param int NOT NULL,
    rid bigint NOT NULL,
    exact bigint NOT NULL,
    value text COLLATE "C" NOT NULL,
    CONSTRAINT idx_string_pkey PRIMARY KEY (tenant_id, param, value, rid, exact)
);
CREATE INDEX idx_string_rid ON idx_string (tenant_id, rid);
CREATE STATISTICS idx_string_tenant_param (mcv) ON tenant_id, param FROM idx_string;

CREATE TABLE idx_date (
    tenant_id int NOT NULL,
    param int NOT NULL,
    low bigint NOT NULL,
    high bigint NOT NULL,
    rid bigint NOT NULL,
    CONSTRAINT idx_date_pkey PRIMARY KEY (tenant_id, param, low, rid, high)
);
CREATE INDEX idx_date_high ON idx_date (tenant_id, param, high, rid);
CREATE INDEX idx_date_rid ON idx_date (tenant_id, rid);
CREATE STATISTICS idx_date_tenant_param (mcv) ON tenant_id, param FROM idx_date;

CREATE TABLE idx_quantity (
    tenant_id int NOT NULL,
    param int NOT NULL,
    low float8 NOT NULL,
    high float8 NOT NULL,
    unit bigint NOT NULL,
    rid bigint NOT NULL,
    CONSTRAINT idx_quantity_pkey PRIMARY KEY (tenant_id, param, low, rid, unit, high)
);
CREATE INDEX idx_quantity_rid ON idx_quantity (tenant_id, rid);
CREATE STATISTICS idx_quantity_tenant_param (mcv) ON tenant_id, param FROM idx_quantity;

CREATE TABLE idx_composite (
    tenant_id int NOT NULL,
    hash bigint NOT NULL,
    low float8 NOT NULL,
    high float8 NOT NULL,
    rid bigint NOT NULL,
    value text COLLATE "C" NOT NULL,
    CONSTRAINT idx_composite_pkey PRIMARY KEY (tenant_id, hash, low, rid, high, value)
);
CREATE INDEX idx_composite_rid ON idx_composite (tenant_id, rid);

-- Nothing is visible unless the transaction has named its tenant; the owner is held to it too.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['resource', 'resource_history', 'idx_token', 'idx_reference', 'idx_string', 'idx_date',
                                'idx_quantity', 'idx_composite'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant_isolation ON %I USING '
                       '(tenant_id = nullif(current_setting(''fhir.tenant'', true), '''')::int)', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO fhir_app', name);
    END LOOP;
END $$;
GRANT SELECT ON tenant, resource_type, server_secret TO fhir_app;
GRANT USAGE ON SEQUENCE resource_rid TO fhir_app;
-- History is append-only for the application.
REVOKE UPDATE, DELETE ON resource_history FROM fhir_app;

CREATE FUNCTION fhir_tenant(p_tenant int) RETURNS void
LANGUAGE sql AS $$ SELECT set_config('fhir.tenant', p_tenant::text, true) $$;

-- The current state of one resource, by the hash of its Type/id.
CREATE FUNCTION fhir_read(
    p_tenant int, p_key bigint,
    OUT type_id smallint, OUT id text, OUT version int, OUT last_updated bigint, OUT deleted boolean, OUT patient bigint,
    OUT meta text, OUT body text
) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('fhir.tenant', p_tenant::text, true);
    SELECT r.type_id, r.id, r.version, r.last_updated, r.deleted, r.patient, r.meta::text, r.body::text
      INTO type_id, id, version, last_updated, deleted, patient, meta, body
      FROM resource r WHERE r.tenant_id = p_tenant AND r.key = p_key;
END $$;

-- One version of one resource, current or past.
CREATE FUNCTION fhir_vread(
    p_tenant int, p_key bigint, p_version int,
    OUT type_id smallint, OUT id text, OUT version int, OUT last_updated bigint, OUT deleted boolean, OUT patient bigint,
    OUT meta text, OUT body text
) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('fhir.tenant', p_tenant::text, true);
    SELECT r.type_id, r.id, v.version, v.last_updated, v.deleted, r.patient, v.meta::text, v.body::text
      INTO type_id, id, version, last_updated, deleted, patient, meta, body
      FROM resource r
      CROSS JOIN LATERAL (
          SELECT r.version, r.last_updated, r.deleted, r.meta, r.body WHERE r.version = p_version
          UNION ALL
          SELECT h.version, h.last_updated, h.deleted, h.meta, h.body FROM resource_history h
           WHERE h.tenant_id = p_tenant AND h.rid = r.rid AND h.version = p_version
      ) v
     WHERE r.tenant_id = p_tenant AND r.key = p_key;
END $$;

-- Write one version of one resource with its index rows: create, update, or delete (p_body NULL).
--
-- p_expect: NULL takes any state; 0 wants nothing there (or a deleted resource); -1 wants any version that is not deleted;
-- n wants version n to be current.
-- status: 'created', 'updated', 'deleted', or, with nothing written: 'conflict' (another version is current; it is in
-- version), 'exists' (p_expect = 0 and it does), 'gone' (a delete of what is not there), 'collision' (another id has this key).
CREATE FUNCTION fhir_put(
    p_tenant int, p_type smallint, p_id text, p_key bigint, p_method text, p_expect int,
    p_meta jsonb, p_body jsonb, p_patient bigint, p_date_low bigint, p_date_high bigint,
    p_tokens bigint[], p_params int[],
    p_ref_param int[], p_ref_target bigint[],
    p_str_param int[], p_str_value text[], p_str_exact bigint[],
    p_dat_param int[], p_dat_low bigint[], p_dat_high bigint[],
    p_qty_param int[], p_qty_low float8[], p_qty_high float8[], p_qty_unit bigint[],
    p_cmp_hash bigint[], p_cmp_low float8[], p_cmp_high float8[], p_cmp_value text[],
    OUT status text, OUT version int, OUT last_updated bigint
) LANGUAGE plpgsql AS $$
DECLARE
    old record;
    new_rid bigint;
BEGIN
    PERFORM set_config('fhir.tenant', p_tenant::text, true);
    last_updated := (extract(epoch FROM clock_timestamp()) * 1000)::bigint * 1000;
    IF p_expect = 0 AND p_body IS NOT NULL THEN
        version := 1;
        INSERT INTO resource (tenant_id, version, key, patient, date_low, date_high, last_updated, type_id, deleted, id, method,
                              tokens, params, meta, body)
        VALUES (p_tenant, 1, p_key, p_patient, p_date_low, p_date_high, last_updated, p_type, false, p_id, p_method,
                p_tokens, p_params, p_meta, p_body)
        ON CONFLICT (tenant_id, key) DO NOTHING
        RETURNING rid INTO new_rid;
    END IF;
    IF new_rid IS NULL THEN
        LOOP
            SELECT r.rid, r.version, r.last_updated, r.type_id, r.deleted, r.id, r.method, r.tokens, r.params, r.meta, r.body
              INTO old FROM resource r WHERE r.tenant_id = p_tenant AND r.key = p_key FOR UPDATE;
            EXIT WHEN FOUND;
            IF p_body IS NULL THEN
                status := 'gone';
                version := NULL;
                RETURN;
            ELSIF p_expect <> 0 THEN
                status := 'conflict';
                version := 0;
                RETURN;
            END IF;
            version := 1;
            INSERT INTO resource (tenant_id, version, key, patient, date_low, date_high, last_updated, type_id, deleted, id,
                                  method, tokens, params, meta, body)
            VALUES (p_tenant, 1, p_key, p_patient, p_date_low, p_date_high, last_updated, p_type, false, p_id, p_method,
                    p_tokens, p_params, p_meta, p_body)
            ON CONFLICT (tenant_id, key) DO NOTHING
            RETURNING rid INTO new_rid;
            EXIT WHEN new_rid IS NOT NULL;
            -- Somebody created it between the two statements: now there is a row to lock.
        END LOOP;
    END IF;

    IF new_rid IS NOT NULL THEN
        status := 'created';
        INSERT INTO idx_token SELECT p_tenant, t, new_rid FROM unnest(p_tokens) t;
        IF p_ref_param IS NOT NULL THEN
            INSERT INTO idx_reference SELECT p_tenant, p, t, new_rid FROM unnest(p_ref_param, p_ref_target) x(p, t);
        END IF;
        IF p_str_param IS NOT NULL THEN
            INSERT INTO idx_string
            SELECT p_tenant, p, new_rid, e, v FROM unnest(p_str_param, p_str_value, p_str_exact) x(p, v, e);
        END IF;
        IF p_dat_param IS NOT NULL THEN
            INSERT INTO idx_date SELECT p_tenant, p, l, h, new_rid FROM unnest(p_dat_param, p_dat_low, p_dat_high) x(p, l, h);
        END IF;
        IF p_qty_param IS NOT NULL THEN
            INSERT INTO idx_quantity
            SELECT p_tenant, p, l, h, u, new_rid FROM unnest(p_qty_param, p_qty_low, p_qty_high, p_qty_unit) x(p, l, h, u);
        END IF;
        IF p_cmp_hash IS NOT NULL THEN
            INSERT INTO idx_composite
            SELECT p_tenant, c, l, h, new_rid, v FROM unnest(p_cmp_hash, p_cmp_low, p_cmp_high, p_cmp_value) x(c, l, h, v);
        END IF;
        RETURN;
    END IF;

    version := old.version;
    IF old.type_id <> p_type OR old.id <> p_id THEN
        status := 'collision';
        RETURN;
    ELSIF p_expect = 0 AND NOT old.deleted THEN
        status := 'exists';
        RETURN;
    ELSIF p_expect > 0 AND old.version <> p_expect OR p_expect = -1 AND old.deleted THEN
        status := 'conflict';
        RETURN;
    ELSIF p_body IS NULL AND old.deleted THEN
        status := 'gone';
        last_updated := old.last_updated;
        RETURN;
    END IF;

    -- The old version moves to history; time never runs backwards within one resource.
    INSERT INTO resource_history (tenant_id, version, rid, last_updated, type_id, deleted, id, method, meta, body)
    VALUES (p_tenant, old.version, old.rid, old.last_updated, old.type_id, old.deleted, old.id, old.method, old.meta, old.body);
    version := old.version + 1;
    last_updated := greatest(last_updated, old.last_updated);
    status := CASE WHEN p_body IS NULL THEN 'deleted' WHEN old.deleted THEN 'created' ELSE 'updated' END;
    UPDATE resource r
       SET version = fhir_put.version, patient = p_patient, date_low = p_date_low, date_high = p_date_high,
           last_updated = fhir_put.last_updated, deleted = p_body IS NULL, method = p_method, tokens = p_tokens,
           params = p_params, meta = p_meta, body = p_body
     WHERE r.tenant_id = p_tenant AND r.rid = old.rid;

    -- The index follows by difference.
    IF old.tokens <> p_tokens THEN
        -- Each row by its whole key, whatever the planner believes of the table; EXCEPT, as <> ALL compares all with all.
        DELETE FROM idx_token t WHERE t.ctid = ANY (ARRAY(
            SELECT i.ctid
              FROM (SELECT unnest(old.tokens) EXCEPT SELECT unnest(p_tokens)) o(hash)
             CROSS JOIN LATERAL (SELECT x.ctid FROM idx_token x
                                  WHERE x.tenant_id = p_tenant AND x.hash = o.hash AND x.rid = old.rid OFFSET 0) i));
        INSERT INTO idx_token
        SELECT p_tenant, n.hash, old.rid FROM (SELECT unnest(p_tokens) EXCEPT SELECT unnest(old.tokens)) n(hash);
    END IF;
    PERFORM fhir_index_difference(
        p_tenant, old.rid, p_ref_param, p_ref_target, p_str_param, p_str_value, p_str_exact, p_dat_param, p_dat_low, p_dat_high,
        p_qty_param, p_qty_low, p_qty_high, p_qty_unit, p_cmp_hash, p_cmp_low, p_cmp_high, p_cmp_value);
END $$;

-- Make the index rows of one resource (all but tokens) those given, touching only what differs.
CREATE FUNCTION fhir_index_difference(
    p_tenant int, p_rid bigint,
    p_ref_param int[], p_ref_target bigint[],
    p_str_param int[], p_str_value text[], p_str_exact bigint[],
    p_dat_param int[], p_dat_low bigint[], p_dat_high bigint[],
    p_qty_param int[], p_qty_low float8[], p_qty_high float8[], p_qty_unit bigint[],
    p_cmp_hash bigint[], p_cmp_low float8[], p_cmp_high float8[], p_cmp_value text[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM idx_reference i WHERE i.tenant_id = p_tenant AND i.rid = p_rid
       AND NOT EXISTS (SELECT FROM unnest(p_ref_param, p_ref_target) x(p, t) WHERE x.p = i.param AND x.t = i.target);
    IF p_ref_param IS NOT NULL THEN
        INSERT INTO idx_reference SELECT p_tenant, p, t, p_rid FROM unnest(p_ref_param, p_ref_target) x(p, t)
        ON CONFLICT DO NOTHING;
    END IF;
    DELETE FROM idx_string i WHERE i.tenant_id = p_tenant AND i.rid = p_rid
       AND NOT EXISTS (SELECT FROM unnest(p_str_param, p_str_value, p_str_exact) x(p, v, e)
                        WHERE x.p = i.param AND x.v = i.value AND x.e = i.exact);
    IF p_str_param IS NOT NULL THEN
        INSERT INTO idx_string SELECT p_tenant, p, p_rid, e, v FROM unnest(p_str_param, p_str_value, p_str_exact) x(p, v, e)
        ON CONFLICT DO NOTHING;
    END IF;
    DELETE FROM idx_date i WHERE i.tenant_id = p_tenant AND i.rid = p_rid
       AND NOT EXISTS (SELECT FROM unnest(p_dat_param, p_dat_low, p_dat_high) x(p, l, h)
                        WHERE x.p = i.param AND x.l = i.low AND x.h = i.high);
    IF p_dat_param IS NOT NULL THEN
        INSERT INTO idx_date SELECT p_tenant, p, l, h, p_rid FROM unnest(p_dat_param, p_dat_low, p_dat_high) x(p, l, h)
        ON CONFLICT DO NOTHING;
    END IF;
    DELETE FROM idx_quantity i WHERE i.tenant_id = p_tenant AND i.rid = p_rid
       AND NOT EXISTS (SELECT FROM unnest(p_qty_param, p_qty_low, p_qty_high, p_qty_unit) x(p, l, h, u)
                        WHERE x.p = i.param AND x.l = i.low AND x.h = i.high AND x.u = i.unit);
    IF p_qty_param IS NOT NULL THEN
        INSERT INTO idx_quantity
        SELECT p_tenant, p, l, h, u, p_rid FROM unnest(p_qty_param, p_qty_low, p_qty_high, p_qty_unit) x(p, l, h, u)
        ON CONFLICT DO NOTHING;
    END IF;
    DELETE FROM idx_composite i WHERE i.tenant_id = p_tenant AND i.rid = p_rid
       AND NOT EXISTS (SELECT FROM unnest(p_cmp_hash, p_cmp_low, p_cmp_high, p_cmp_value) x(c, l, h, v)
                        WHERE x.c = i.hash AND x.l = i.low AND x.h = i.high AND x.v = i.value);
    IF p_cmp_hash IS NOT NULL THEN
        INSERT INTO idx_composite
        SELECT p_tenant, c, l, h, p_rid, v FROM unnest(p_cmp_hash, p_cmp_low, p_cmp_high, p_cmp_value) x(c, l, h, v)
        ON CONFLICT DO NOTHING;
    END IF;
END $$;

-- Create many resources with their index rows. Element n of each row's "o" numbers it from 1; the arrays of index rows name it by
-- that number. Returns the numbers of those that exist already (deleted ones too): then nothing has been written.
--
-- p_rows: [{"o", "k" key, "t" type_id, "i" id, "m" method, "p" patient, "l" date_low, "h" date_high, "ts" tokens, "ps" params,
-- "meta", "body"}]. p_fresh: the ids are new by construction, do not look.
CREATE FUNCTION fhir_create_many(
    p_tenant int, p_fresh boolean, p_rows jsonb,
    p_ref_row int[], p_ref_param int[], p_ref_target bigint[],
    p_str_row int[], p_str_param int[], p_str_value text[], p_str_exact bigint[],
    p_dat_row int[], p_dat_param int[], p_dat_low bigint[], p_dat_high bigint[],
    p_qty_row int[], p_qty_param int[], p_qty_low float8[], p_qty_high float8[], p_qty_unit bigint[],
    p_cmp_row int[], p_cmp_hash bigint[], p_cmp_low float8[], p_cmp_high float8[], p_cmp_value text[],
    OUT existing int[], OUT last_updated bigint
) LANGUAGE plpgsql AS $$
DECLARE
    rids bigint[];
BEGIN
    PERFORM set_config('fhir.tenant', p_tenant::text, true);
    last_updated := (extract(epoch FROM clock_timestamp()) * 1000)::bigint * 1000;
    IF NOT p_fresh THEN
        SELECT array_agg(x.o) INTO existing
          FROM jsonb_to_recordset(p_rows) AS x(o int, k bigint) JOIN resource r ON r.tenant_id = p_tenant AND r.key = x.k;
        IF existing IS NOT NULL THEN
            RETURN;
        END IF;
    END IF;
    rids := ARRAY(SELECT nextval('resource_rid') FROM generate_series(1, jsonb_array_length(p_rows)));
    WITH made AS (
        INSERT INTO resource (tenant_id, version, rid, key, patient, date_low, date_high, last_updated, type_id, deleted, id,
                              method, tokens, params, meta, body)
        SELECT p_tenant, 1, rids[x.o], x.k, x.p, x.l, x.h, fhir_create_many.last_updated, x.t, false, x.i, x.m,
               x.ts::bigint[], x.ps::int[], x.meta, x.body
          FROM jsonb_to_recordset(p_rows) AS x(o int, k bigint, t smallint, i text, m text, p bigint, l bigint, h bigint,
                                               ts text, ps text, meta jsonb, body jsonb)
        RETURNING rid, tokens
    )
    INSERT INTO idx_token SELECT p_tenant, t, made.rid FROM made, unnest(made.tokens) t;
    INSERT INTO idx_reference
    SELECT p_tenant, p, t, rids[o] FROM unnest(p_ref_row, p_ref_param, p_ref_target) x(o, p, t);
    INSERT INTO idx_string
    SELECT p_tenant, p, rids[o], e, v FROM unnest(p_str_row, p_str_param, p_str_value, p_str_exact) x(o, p, v, e);
    INSERT INTO idx_date
    SELECT p_tenant, p, l, h, rids[o] FROM unnest(p_dat_row, p_dat_param, p_dat_low, p_dat_high) x(o, p, l, h);
    INSERT INTO idx_quantity
    SELECT p_tenant, p, l, h, u, rids[o] FROM unnest(p_qty_row, p_qty_param, p_qty_low, p_qty_high, p_qty_unit) x(o, p, l, h, u);
    INSERT INTO idx_composite
    SELECT p_tenant, c, l, h, rids[o], v FROM unnest(p_cmp_row, p_cmp_hash, p_cmp_low, p_cmp_high, p_cmp_value) x(o, c, l, h, v);
END $$;

-- Each of these statements finds its rows through an index however small or unanalysed the tables are; planning them once is
-- worth more than planning them well (measured: an update cost 2.9 ms with PostgreSQL choosing, 0.7 ms so).
DO $$
DECLARE
    f regprocedure;
BEGIN
    FOR f IN SELECT oid::regprocedure FROM pg_proc
              WHERE pronamespace = current_schema()::regnamespace
                AND proname IN ('fhir_read', 'fhir_vread', 'fhir_put', 'fhir_index_difference', 'fhir_create_many') LOOP
        EXECUTE format('ALTER FUNCTION %s SET plan_cache_mode = force_generic_plan', f);
        EXECUTE format('ALTER FUNCTION %s SET enable_seqscan = off', f);
    END LOOP;
END $$;
-- Old and new rows are compared as sets: row by row it would be quadratic, which PostgreSQL 15 would choose for the few rows
-- that it expects of an array.
ALTER FUNCTION fhir_index_difference SET enable_nestloop = off;

-- For people: every current resource as FHIR JSON, under the same row level security.
CREATE VIEW fhir_resource WITH (security_invoker = true) AS
SELECT r.tenant_id, t.name AS type, r.id, r.version, to_timestamp(r.last_updated / 1e6) AS last_updated,
       jsonb_build_object('resourceType', t.name, 'id', r.id) || r.body
       || jsonb_build_object('meta', coalesce(r.meta, '{}') || jsonb_build_object(
              'versionId', r.version::text,
              'lastUpdated', to_char(to_timestamp(r.last_updated / 1e6) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')))
       AS resource
  FROM resource r JOIN resource_type t ON t.id = r.type_id
 WHERE NOT r.deleted;
GRANT SELECT ON fhir_resource TO fhir_app;
