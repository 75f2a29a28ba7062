-- A search is planned anew each time. What is asked here was a third of its text and half of the time that planning took;
-- a function's statements are planned once for each connection.

-- The keys of persons, and of the roles in which practitioners among them act. p_role is the number of
-- PractitionerRole.practitioner. https://hl7.org/fhir/R4/practitionerrole.html
CREATE FUNCTION fhir_persons(p_tenant int, p_keys bigint[], p_role int) RETURNS bigint[] STABLE LANGUAGE plpgsql AS $$
BEGIN
    RETURN p_keys || ARRAY(
        SELECT o.key FROM idx_reference i JOIN resource o ON o.tenant_id = i.tenant_id AND o.rid = i.rid
         WHERE i.tenant_id = p_tenant AND i.param = p_role AND i.target = ANY(p_keys) AND NOT o.deleted);
END $$;

-- Whether one of the persons, or a role that one of them acts in, is related to a patient by one of these kinds at a time
-- in microseconds since 1970 UTC. p_role is NULL where nobody acts in a role.
CREATE FUNCTION fhir_related(p_tenant int, p_keys bigint[], p_role int, p_kinds smallint[], p_patient bigint, p_at bigint)
RETURNS boolean STABLE LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM care_relation c WHERE c.tenant_id = p_tenant AND c.patient = p_patient AND c.person = ANY(p_keys)
           AND c.kind = ANY(p_kinds) AND c.low <= p_at AND c.high > p_at) THEN
        RETURN true;
    END IF;
    RETURN p_role IS NOT NULL AND EXISTS (
        SELECT FROM care_relation c JOIN resource o ON o.tenant_id = c.tenant_id AND o.key = c.person AND NOT o.deleted
          JOIN idx_reference i ON i.tenant_id = o.tenant_id AND i.rid = o.rid AND i.param = p_role AND i.target = ANY(p_keys)
         WHERE c.tenant_id = p_tenant AND c.patient = p_patient
           AND c.kind = ANY(p_kinds) AND c.low <= p_at AND c.high > p_at);
END $$;

-- As for the functions of 0001_store.sql.
DO $$
DECLARE
    f text;
BEGIN
    FOREACH f IN ARRAY ARRAY['fhir_persons', 'fhir_related'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET plan_cache_mode = force_generic_plan', f);
        EXECUTE format('ALTER FUNCTION %s SET enable_seqscan = off', f);
    END LOOP;
END $$;
