-- Many resources brought to their next version in one statement, as fhir_put brings one.
--
-- Element n of p_keys, p_types, p_ids and p_expect says which resource number n is and which version is current; whoever calls has
-- looked, and holds the rows. p_rows: [{"o", "m" method, "p" patient, "l" date_low, "h" date_high, "ts" tokens, "ps" params, "meta",
-- "body"}]. The arrays of index rows name a resource by its number. p_care: [{"k" key, "r" relations, "u" rules}] as of fhir_care.
-- changed is false where any resource is not as it was said to be: then nothing has been written.
CREATE FUNCTION fhir_update_many(
    p_tenant int, p_keys bigint[], p_types smallint[], p_ids text[], p_expect int[], p_rows jsonb,
    p_tok_row int[], p_tok_hash bigint[],
    p_ref_row int[], p_ref_param int[], p_ref_target bigint[],
    p_str_row int[], p_str_param int[], p_str_value text[], p_str_exact bigint[],
    p_dat_row int[], p_dat_param int[], p_dat_low bigint[], p_dat_high bigint[],
    p_qty_row int[], p_qty_param int[], p_qty_low float8[], p_qty_high float8[], p_qty_unit bigint[],
    p_cmp_row int[], p_cmp_hash bigint[], p_cmp_low float8[], p_cmp_high float8[], p_cmp_value text[],
    p_missing smallint[], p_wrd_row int[], p_wrd_hash bigint[], p_wrd_place int[], p_wrd_weight smallint[],
    p_phrases bigint[], p_phrase bigint[], p_word bigint[], p_word_weight smallint[], p_care jsonb,
    OUT changed boolean, OUT last_updated bigint
) LANGUAGE plpgsql AS $$
DECLARE
    rids bigint[];
    missing smallint;
BEGIN
    PERFORM set_config('fhir.tenant', p_tenant::text, true);
    last_updated := (extract(epoch FROM clock_timestamp()) * 1000)::bigint * 1000;
    rids := ARRAY(
        SELECT r.rid
          FROM unnest(p_keys, p_types, p_ids, p_expect) WITH ORDINALITY x(key, type_id, id, version, ord)
         CROSS JOIN LATERAL (
             SELECT y.rid FROM resource y
              WHERE y.tenant_id = p_tenant AND y.key = x.key AND y.type_id = x.type_id AND y.id = x.id AND y.version = x.version
                AND NOT y.deleted OFFSET 0 FOR UPDATE) r
         ORDER BY x.ord);
    changed := cardinality(rids) = cardinality(p_keys);
    IF NOT changed THEN
        RETURN;
    END IF;
    INSERT INTO resource_history (tenant_id, version, rid, last_updated, type_id, deleted, id, method, meta, body)
    SELECT p_tenant, r.version, r.rid, r.last_updated, r.type_id, r.deleted, r.id, r.method, r.meta, r.body
      FROM resource r WHERE r.tenant_id = p_tenant AND r.rid = ANY (rids);
    -- Tokens by their difference, before the old ones are gone; each row by its whole key, as in fhir_put.
    DELETE FROM idx_token t WHERE t.ctid = ANY (ARRAY(
        SELECT i.ctid
          FROM (SELECT r.rid, h FROM resource r CROSS JOIN LATERAL unnest(r.tokens) h
                 WHERE r.tenant_id = p_tenant AND r.rid = ANY (rids)
                EXCEPT SELECT rids[o], h FROM unnest(p_tok_row, p_tok_hash) x(o, h)) o(rid, hash)
         CROSS JOIN LATERAL (SELECT x.ctid FROM idx_token x
                              WHERE x.tenant_id = p_tenant AND x.hash = o.hash AND x.rid = o.rid OFFSET 0) i));
    INSERT INTO idx_token
    SELECT p_tenant, n.hash, n.rid
      FROM (SELECT rids[o], h FROM unnest(p_tok_row, p_tok_hash) x(o, h)
            EXCEPT SELECT r.rid, h FROM resource r CROSS JOIN LATERAL unnest(r.tokens) h
                    WHERE r.tenant_id = p_tenant AND r.rid = ANY (rids)) n(rid, hash);
    UPDATE resource r
       SET version = r.version + 1, patient = x.p, date_low = x.l, date_high = x.h, method = x.m, tokens = x.ts::bigint[],
           params = x.ps::int[], meta = x.meta, body = x.body,
           -- Time never runs backwards within one resource.
           last_updated = greatest(fhir_update_many.last_updated, r.last_updated)
      FROM jsonb_to_recordset(p_rows) AS x(o int, m text, p bigint, l bigint, h bigint, ts text, ps text, meta jsonb, body jsonb)
     WHERE r.tenant_id = p_tenant AND r.rid = rids[x.o];
    PERFORM fhir_index_differences(
        p_tenant, rids, p_ref_row, p_ref_param, p_ref_target, p_str_row, p_str_param, p_str_value, p_str_exact,
        p_dat_row, p_dat_param, p_dat_low, p_dat_high, p_qty_row, p_qty_param, p_qty_low, p_qty_high, p_qty_unit,
        p_cmp_row, p_cmp_hash, p_cmp_low, p_cmp_high, p_cmp_value);
    IF p_missing IS NOT NULL THEN
        FOREACH missing IN ARRAY p_missing LOOP
            PERFORM fhir_words_missing(p_tenant, missing);
        END LOOP;
    END IF;
    IF p_phrases IS NOT NULL THEN
        PERFORM fhir_phrases(p_tenant, p_phrases, p_phrase, p_word, p_word_weight);
    END IF;
    PERFORM fhir_word_differences(p_tenant, rids, p_wrd_row, p_wrd_hash, p_wrd_place, p_wrd_weight);
    IF p_care IS NOT NULL THEN
        PERFORM fhir_care(p_tenant, x.k, false, x.r, x.u) FROM jsonb_to_recordset(p_care) AS x(k bigint, r jsonb, u jsonb);
    END IF;
END $$;

-- fhir_index_difference for many resources.
CREATE FUNCTION fhir_index_differences(
    p_tenant int, p_rids bigint[],
    p_ref_row int[], p_ref_param int[], p_ref_target bigint[],
    p_str_row int[], p_str_param int[], p_str_value text[], p_str_exact bigint[],
    p_dat_row int[], p_dat_param int[], p_dat_low bigint[], p_dat_high bigint[],
    p_qty_row int[], p_qty_param int[], p_qty_low float8[], p_qty_high float8[], p_qty_unit bigint[],
    p_cmp_row int[], p_cmp_hash bigint[], p_cmp_low float8[], p_cmp_high float8[], p_cmp_value text[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM idx_reference i WHERE i.tenant_id = p_tenant AND i.rid = ANY (p_rids)
       AND NOT EXISTS (SELECT FROM unnest(p_ref_row, p_ref_param, p_ref_target) x(o, p, t)
                        WHERE p_rids[x.o] = i.rid AND x.p = i.param AND x.t = i.target);
    IF p_ref_row IS NOT NULL THEN
        INSERT INTO idx_reference SELECT p_tenant, p, t, p_rids[o] FROM unnest(p_ref_row, p_ref_param, p_ref_target) x(o, p, t)
        ON CONFLICT DO NOTHING;
    END IF;
    DELETE FROM idx_string i WHERE i.tenant_id = p_tenant AND i.rid = ANY (p_rids)
       AND NOT EXISTS (SELECT FROM unnest(p_str_row, p_str_param, p_str_value, p_str_exact) x(o, p, v, e)
                        WHERE p_rids[x.o] = i.rid AND x.p = i.param AND x.v = i.value AND x.e = i.exact);
    IF p_str_row IS NOT NULL THEN
        INSERT INTO idx_string
        SELECT p_tenant, p, p_rids[o], e, v FROM unnest(p_str_row, p_str_param, p_str_value, p_str_exact) x(o, p, v, e)
        ON CONFLICT DO NOTHING;
    END IF;
    DELETE FROM idx_date i WHERE i.tenant_id = p_tenant AND i.rid = ANY (p_rids)
       AND NOT EXISTS (SELECT FROM unnest(p_dat_row, p_dat_param, p_dat_low, p_dat_high) x(o, p, l, h)
                        WHERE p_rids[x.o] = i.rid AND x.p = i.param AND x.l = i.low AND x.h = i.high);
    IF p_dat_row IS NOT NULL THEN
        INSERT INTO idx_date
        SELECT p_tenant, p, l, h, p_rids[o] FROM unnest(p_dat_row, p_dat_param, p_dat_low, p_dat_high) x(o, p, l, h)
        ON CONFLICT DO NOTHING;
    END IF;
    DELETE FROM idx_quantity i WHERE i.tenant_id = p_tenant AND i.rid = ANY (p_rids)
       AND NOT EXISTS (SELECT FROM unnest(p_qty_row, p_qty_param, p_qty_low, p_qty_high, p_qty_unit) x(o, p, l, h, u)
                        WHERE p_rids[x.o] = i.rid AND x.p = i.param AND x.l = i.low AND x.h = i.high AND x.u = i.unit);
    IF p_qty_row IS NOT NULL THEN
        INSERT INTO idx_quantity
        SELECT p_tenant, p, l, h, u, p_rids[o]
          FROM unnest(p_qty_row, p_qty_param, p_qty_low, p_qty_high, p_qty_unit) x(o, p, l, h, u)
        ON CONFLICT DO NOTHING;
    END IF;
    DELETE FROM idx_composite i WHERE i.tenant_id = p_tenant AND i.rid = ANY (p_rids)
       AND NOT EXISTS (SELECT FROM unnest(p_cmp_row, p_cmp_hash, p_cmp_low, p_cmp_high, p_cmp_value) x(o, c, l, h, v)
                        WHERE p_rids[x.o] = i.rid AND x.c = i.hash AND x.l = i.low AND x.h = i.high AND x.v = i.value);
    IF p_cmp_row IS NOT NULL THEN
        INSERT INTO idx_composite
        SELECT p_tenant, c, l, h, p_rids[o], v
          FROM unnest(p_cmp_row, p_cmp_hash, p_cmp_low, p_cmp_high, p_cmp_value) x(o, c, l, h, v)
        ON CONFLICT DO NOTHING;
    END IF;
END $$;

-- fhir_word_difference for many resources.
CREATE FUNCTION fhir_word_differences(
    p_tenant int, p_rids bigint[], p_row int[], p_hash bigint[], p_place int[], p_weight smallint[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM idx_word i WHERE i.tenant_id = p_tenant AND i.rid = ANY (p_rids)
       AND NOT EXISTS (SELECT FROM unnest(p_row, p_hash, p_place, p_weight) x(o, h, p, w)
                        WHERE p_rids[x.o] = i.rid AND x.h = i.hash AND x.p = i.place AND x.w = i.weight);
    IF p_row IS NOT NULL THEN
        INSERT INTO idx_word (tenant_id, place, hash, rid, weight)
        SELECT p_tenant, p, h, p_rids[o], w FROM unnest(p_row, p_hash, p_place, p_weight) x(o, h, p, w)
        ON CONFLICT DO NOTHING;
    END IF;
END $$;

-- As for the functions of 0001_store.sql and 0005_words.sql.
DO $$
DECLARE
    f regprocedure;
BEGIN
    FOR f IN SELECT oid::regprocedure FROM pg_proc
              WHERE pronamespace = current_schema()::regnamespace
                AND proname IN ('fhir_update_many', 'fhir_index_differences', 'fhir_word_differences') LOOP
        EXECUTE format('ALTER FUNCTION %s SET plan_cache_mode = force_generic_plan', f);
        EXECUTE format('ALTER FUNCTION %s SET enable_seqscan = off', f);
    END LOOP;
END $$;
ALTER FUNCTION fhir_index_differences SET enable_nestloop = off;
ALTER FUNCTION fhir_word_differences SET enable_nestloop = off;
-- A merge join would merge by the resource alone and compare all rows of it with all.
ALTER FUNCTION fhir_index_differences SET enable_mergejoin = off;
ALTER FUNCTION fhir_word_differences SET enable_mergejoin = off;
