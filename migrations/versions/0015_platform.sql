-- Web processes may read tenants and no more. These two functions are all that they can do to them: add one, and change its name
-- and how long its searches may take. They run as the owner, so that their search path is fixed, without temporary tables before it.
-- https://www.postgresql.org/docs/current/sql-createfunction.html#SQL-CREATEFUNCTION-SECURITY

-- The number of the new tenant; NULL where the slug is taken.
CREATE FUNCTION fhir_create_tenant(p_slug text, p_name text) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_id int;
BEGIN
    IF p_slug !~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$' OR length(p_name) NOT BETWEEN 1 AND 200 THEN
        RAISE EXCEPTION 'no slug or name of a tenant' USING ERRCODE = 'check_violation';
    END IF;
    INSERT INTO tenant (slug, name) VALUES (p_slug, p_name) ON CONFLICT (slug) DO NOTHING RETURNING id INTO v_id;
    RETURN v_id;
END $$;

-- False where there is no such tenant. p_milliseconds NULL is what the server's settings say.
CREATE FUNCTION fhir_change_tenant(p_slug text, p_name text, p_milliseconds int) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF length(p_name) NOT BETWEEN 1 AND 200 OR p_milliseconds NOT BETWEEN 1 AND 3600000 THEN
        RAISE EXCEPTION 'no name or limit of a tenant' USING ERRCODE = 'check_violation';
    END IF;
    UPDATE tenant SET name = p_name, search_timeout_ms = p_milliseconds WHERE slug = p_slug;
    RETURN FOUND;
END $$;

DO $$
DECLARE
    f text;
BEGIN
    FOREACH f IN ARRAY ARRAY['fhir_create_tenant(text, text)', 'fhir_change_tenant(text, text, int)'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', f, current_schema());
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO fhir_app', f);
    END LOOP;
END $$;
