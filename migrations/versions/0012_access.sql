-- A read says whether a consent of its patient has to be asked. docs/access.md
DROP FUNCTION fhir_read(int, bigint);
DROP FUNCTION fhir_vread(int, bigint, int);


CREATE FUNCTION fhir_read(
    p_tenant int, p_key bigint,
    OUT type_id smallint, OUT id text, OUT version int, OUT last_updated bigint, OUT deleted boolean, OUT patient bigint,
    OUT meta text, OUT body text, OUT consents boolean
) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('fhir.tenant', p_tenant::text, true);
    SELECT r.type_id, r.id, r.version, r.last_updated, r.deleted, r.patient, r.meta::text, r.body::text
      INTO type_id, id, version, last_updated, deleted, patient, meta, body
      FROM resource r WHERE r.tenant_id = p_tenant AND r.key = p_key;
    IF patient IS NULL THEN
        consents := EXISTS (SELECT FROM consent_rule k WHERE k.tenant_id = p_tenant);
    ELSE
        consents := EXISTS (SELECT FROM consent_rule k WHERE k.tenant_id = p_tenant AND k.patient = fhir_read.patient);
    END IF;
END $$;

CREATE FUNCTION fhir_vread(
    p_tenant int, p_key bigint, p_version int,
    OUT type_id smallint, OUT id text, OUT version int, OUT last_updated bigint, OUT deleted boolean, OUT patient bigint,
    OUT meta text, OUT body text, OUT consents boolean
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
    IF patient IS NULL THEN
        consents := EXISTS (SELECT FROM consent_rule k WHERE k.tenant_id = p_tenant);
    ELSE
        consents := EXISTS (SELECT FROM consent_rule k WHERE k.tenant_id = p_tenant AND k.patient = fhir_vread.patient);
    END IF;
END $$;

-- A search that minds no consents says so here, and is run again minding them where there are any.
CREATE FUNCTION fhir_no_consents(p_tenant int) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM consent_rule k WHERE k.tenant_id = p_tenant) THEN
        RAISE EXCEPTION 'there are consents' USING ERRCODE = 'FH002';
    END IF;
    RETURN true;
END $$;

DO $$
DECLARE
    f text;
BEGIN
    FOREACH f IN ARRAY ARRAY['fhir_read', 'fhir_vread', 'fhir_no_consents'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET plan_cache_mode = force_generic_plan', f);
        EXECUTE format('ALTER FUNCTION %s SET enable_seqscan = off', f);
    END LOOP;
END $$;
