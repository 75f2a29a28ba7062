-- Full text as hashes of words: row level security keeps PostgreSQL from using a text index.
-- docs/decisions/0010-full-text.md.

-- What a resource is found by: a word of it, or a phrase (weight 0), whose words are in idx_phrase. The hashes hold the
-- resource type. weight 1 to 999 is the word's in its text.
CREATE TABLE idx_word (
    tenant_id int NOT NULL,
    place int NOT NULL,
    hash bigint NOT NULL,
    rid bigint NOT NULL,
    weight smallint NOT NULL,
    CONSTRAINT idx_word_pkey PRIMARY KEY (tenant_id, hash, rid, place)
);
CREATE INDEX idx_word_rid ON idx_word (tenant_id, rid);

-- The words of each phrase of a tenant, written when it is first met and kept. Two that meet it at the same time both write
-- them: a unique key would have one wait for the other's transaction to end.
CREATE TABLE idx_phrase (
    tenant_id int NOT NULL,
    weight smallint NOT NULL,
    word bigint NOT NULL,
    phrase bigint NOT NULL
);
CREATE INDEX idx_phrase_word ON idx_phrase (tenant_id, word, phrase);
CREATE INDEX idx_phrase_phrase ON idx_phrase (tenant_id, phrase);

-- The resource types of which some resource was written without its words. closing is the reindexing
-- that will have made up for it.
CREATE TABLE word_gap (
    tenant_id int NOT NULL,
    type_id smallint NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    closing text COLLATE "C" NOT NULL DEFAULT ''
);
CREATE INDEX word_gap_type ON word_gap (tenant_id, type_id);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['idx_word', 'idx_phrase', 'word_gap'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant_isolation ON %I USING '
                       '(tenant_id = nullif(current_setting(''fhir.tenant'', true), '''')::int)', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO fhir_app', name);
    END LOOP;
END $$;

-- Whatever is there already has no words.
DO $$
DECLARE
    one int;
BEGIN
    FOR one IN SELECT id FROM tenant LOOP
        PERFORM set_config('fhir.tenant', one::text, true);
        INSERT INTO word_gap (tenant_id, type_id)
        SELECT one, t.id FROM resource_type t
         WHERE EXISTS (SELECT FROM resource r WHERE r.tenant_id = one AND r.type_id = t.id AND NOT r.deleted);
    END LOOP;
    PERFORM set_config('fhir.tenant', '', true);
END $$;

-- True, or an error where words of resources of the type are missing: a search must not miss them silently.
CREATE FUNCTION fhir_words_complete(p_tenant int, p_type smallint) RETURNS boolean STABLE LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM word_gap g WHERE g.tenant_id = p_tenant AND g.type_id = p_type) THEN
        RAISE EXCEPTION 'words are missing for resource type %', p_type USING ERRCODE = 'FH001';
    END IF;
    RETURN true;
END $$;

-- Note that a resource of the type is written without its words.
CREATE FUNCTION fhir_words_missing(p_tenant int, p_type smallint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM word_gap g WHERE g.tenant_id = p_tenant AND g.type_id = p_type AND g.closing = '') THEN
        INSERT INTO word_gap (tenant_id, type_id) VALUES (p_tenant, p_type);
    END IF;
END $$;

-- Write the words of the phrases that the tenant does not know yet. Arrays of one length: the words of all phrases.
CREATE FUNCTION fhir_phrases(p_tenant int, p_phrases bigint[], p_phrase bigint[], p_word bigint[], p_weight smallint[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    new bigint[];
BEGIN
    new := ARRAY(SELECT n FROM unnest(p_phrases) n
                  WHERE NOT EXISTS (SELECT FROM idx_phrase i WHERE i.tenant_id = p_tenant AND i.phrase = n));
    IF new <> '{}' THEN
        INSERT INTO idx_phrase (tenant_id, weight, word, phrase)
        SELECT p_tenant, g, w, p FROM unnest(p_phrase, p_word, p_weight) x(p, w, g) WHERE p IN (SELECT unnest(new));
    END IF;
END $$;

-- Make the words of one resource those given, touching only what differs; all NULL: it is written without its words.
-- p_new says that it has none yet.
CREATE FUNCTION fhir_words(
    p_tenant int, p_type smallint, p_key bigint, p_new boolean,
    p_hash bigint[], p_place int[], p_weight smallint[],
    p_phrases bigint[], p_phrase bigint[], p_word bigint[], p_word_weight smallint[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_rid bigint;
BEGIN
    IF p_hash IS NULL THEN
        PERFORM fhir_words_missing(p_tenant, p_type);
    ELSIF p_hash = '{}' AND p_new THEN
        RETURN;
    END IF;
    SELECT r.rid INTO v_rid FROM resource r WHERE r.tenant_id = p_tenant AND r.key = p_key;
    IF p_phrases IS NOT NULL THEN
        PERFORM fhir_phrases(p_tenant, p_phrases, p_phrase, p_word, p_word_weight);
    END IF;
    IF p_new THEN
        INSERT INTO idx_word (tenant_id, place, hash, rid, weight)
        SELECT p_tenant, p, h, v_rid, w FROM unnest(p_hash, p_place, p_weight) x(h, p, w);
    ELSE
        PERFORM fhir_word_difference(p_tenant, v_rid, p_hash, p_place, p_weight);
    END IF;
END $$;

-- The same for the rows of one resource, found by its rid, whose phrases are written already.
CREATE FUNCTION fhir_word_difference(p_tenant int, p_rid bigint, p_hash bigint[], p_place int[], p_weight smallint[])
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM idx_word i WHERE i.tenant_id = p_tenant AND i.rid = p_rid
       AND NOT EXISTS (SELECT FROM unnest(p_hash, p_place, p_weight) x(h, p, w)
                        WHERE x.h = i.hash AND x.p = i.place AND x.w = i.weight);
    INSERT INTO idx_word (tenant_id, place, hash, rid, weight)
    SELECT p_tenant, p, h, p_rid, w FROM unnest(p_hash, p_place, p_weight) x(h, p, w)
    ON CONFLICT DO NOTHING;
END $$;

-- The words of resources that were just created: p_row numbers the resource of a row from 1, as p_keys does. p_missing
-- lists the types of those written without their words.
CREATE FUNCTION fhir_words_many(
    p_tenant int, p_keys bigint[], p_missing smallint[],
    p_row int[], p_hash bigint[], p_place int[], p_weight smallint[],
    p_phrases bigint[], p_phrase bigint[], p_word bigint[], p_word_weight smallint[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    rids bigint[];
    missing smallint;
BEGIN
    IF p_missing IS NOT NULL THEN
        FOREACH missing IN ARRAY p_missing LOOP
            PERFORM fhir_words_missing(p_tenant, missing);
        END LOOP;
    END IF;
    IF p_phrases IS NOT NULL THEN
        PERFORM fhir_phrases(p_tenant, p_phrases, p_phrase, p_word, p_word_weight);
    END IF;
    IF p_row IS NOT NULL THEN
        rids := ARRAY(SELECT (SELECT r.rid FROM resource r WHERE r.tenant_id = p_tenant AND r.key = k.key)
                        FROM unnest(p_keys) WITH ORDINALITY k(key, n) ORDER BY k.n);
        INSERT INTO idx_word (tenant_id, place, hash, rid, weight)
        SELECT p_tenant, p, h, rids[o], w FROM unnest(p_row, p_hash, p_place, p_weight) x(o, h, p, w);
    END IF;
END $$;

-- As for the functions of 0001_store.sql; those that they call inherit it.
DO $$
DECLARE
    f regprocedure;
BEGIN
    FOR f IN SELECT oid::regprocedure FROM pg_proc
              WHERE pronamespace = current_schema()::regnamespace
                AND proname IN ('fhir_words', 'fhir_words_many', 'fhir_words_complete', 'fhir_word_difference') LOOP
        EXECUTE format('ALTER FUNCTION %s SET plan_cache_mode = force_generic_plan', f);
        EXECUTE format('ALTER FUNCTION %s SET enable_seqscan = off', f);
    END LOOP;
END $$;
ALTER FUNCTION fhir_word_difference SET enable_nestloop = off;
