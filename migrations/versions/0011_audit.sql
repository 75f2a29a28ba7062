-- The audit trail: a chain of records for each tenant. docs/audit.md

-- One row for each record, seq without gaps. record is JSON as it was written down when it happened, hash is
-- sha256(hash of seq - 1, seq, record); the other columns are what searches look for, and follow from the record.
-- id is a UUIDv7, whose order is that of the times; agent and client are keyed hashes.
CREATE TABLE audit_record (
    tenant_id int NOT NULL,
    seq bigint NOT NULL,
    at bigint NOT NULL,
    agent bigint,
    client bigint,
    id uuid NOT NULL,
    outcome smallint NOT NULL,
    kind text COLLATE "C" NOT NULL,
    record text NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT audit_record_pkey PRIMARY KEY (tenant_id, seq),
    CONSTRAINT audit_record_id UNIQUE (tenant_id, id)
);
CREATE INDEX audit_record_agent ON audit_record (tenant_id, agent, id);

-- What a record is about: the keys of its patients and of the resources that it names, as in resource.key.
CREATE TABLE audit_entity (
    tenant_id int NOT NULL,
    key bigint NOT NULL,
    id uuid NOT NULL,
    CONSTRAINT audit_entity_pkey PRIMARY KEY (tenant_id, key, id)
);

-- Where each chain ends. Whoever appends holds this row.
CREATE TABLE audit_head (
    tenant_id int NOT NULL,
    seq bigint NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT audit_head_pkey PRIMARY KEY (tenant_id)
) WITH (fillfactor = 50);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['audit_record', 'audit_entity', 'audit_head'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant_isolation ON %I USING '
                       '(tenant_id = nullif(current_setting(''fhir.tenant'', true), '''')::int) WITH CHECK '
                       '(tenant_id = nullif(current_setting(''fhir.tenant'', true), '''')::int)', name);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO fhir_app', name);
    END LOOP;
END $$;
GRANT UPDATE ON audit_head TO fhir_app;

-- Not even the owner of the tables changes a record by an ordinary statement.
CREATE FUNCTION fhir_audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['audit_record', 'audit_entity'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I '
                       'FOR EACH ROW EXECUTE FUNCTION fhir_audit_is_append_only()', name);
        EXECUTE format('CREATE TRIGGER append_only_all BEFORE TRUNCATE ON %I '
                       'FOR EACH STATEMENT EXECUTE FUNCTION fhir_audit_is_append_only()', name);
    END LOOP;
END $$;

-- Append records to a tenant's chain, but for those that are in it already; answers how many were new.
--
-- p_records are lines of JSON, one for each of p_ids; (p_entity_keys, p_entity_ids) are the rows of audit_entity.
CREATE FUNCTION fhir_audit_append(
    p_tenant int, p_records text, p_ids uuid[], p_at bigint[], p_kinds text[], p_outcomes int[],
    p_agents bigint[], p_clients bigint[], p_entity_keys bigint[], p_entity_ids uuid[]
) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    lines text[] := string_to_array(p_records, E'\n');
    known uuid[];
    places int[] := '{}';
    hashes bytea[] := '{}';
    first bigint;
    number bigint;
    current bytea;
BEGIN
    IF cardinality(lines) <> cardinality(p_ids) THEN
        RAISE EXCEPTION 'a record must be one line';
    END IF;
    PERFORM set_config('fhir.tenant', p_tenant::text, true);
    SELECT h.seq, h.hash INTO first, current FROM audit_head h WHERE h.tenant_id = p_tenant FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO audit_head VALUES (p_tenant, 0, sha256(convert_to('fhir-server audit chain ' || p_tenant, 'UTF8')))
            ON CONFLICT DO NOTHING;
        SELECT h.seq, h.hash INTO first, current FROM audit_head h WHERE h.tenant_id = p_tenant FOR UPDATE;
    END IF;
    -- After the lock: what another process has appended is seen.
    SELECT coalesce(array_agg(r.id), '{}') INTO known
      FROM audit_record r WHERE r.tenant_id = p_tenant AND r.id = ANY (p_ids);
    number := first;
    FOR place IN 1 .. cardinality(p_ids) LOOP
        CONTINUE WHEN p_ids[place] = ANY (known);
        number := number + 1;
        current := sha256(current || int8send(number) || convert_to(lines[place], 'UTF8'));
        places := places || place;
        hashes := hashes || current;
    END LOOP;
    IF number = first THEN
        RETURN 0;
    END IF;
    INSERT INTO audit_record (tenant_id, seq, at, agent, client, id, outcome, kind, record, hash)
    SELECT p_tenant, first + n.ordinal, p_at[n.place], p_agents[n.place], p_clients[n.place], p_ids[n.place],
           p_outcomes[n.place], p_kinds[n.place], lines[n.place], n.hash
      FROM unnest(places, hashes) WITH ORDINALITY n(place, hash, ordinal);
    INSERT INTO audit_entity
    SELECT p_tenant, e.key, e.id FROM unnest(p_entity_keys, p_entity_ids) e(key, id) WHERE e.id <> ALL (known)
        ON CONFLICT DO NOTHING;
    UPDATE audit_head h SET seq = number, hash = current WHERE h.tenant_id = p_tenant;
    RETURN number - first;
END $$;
