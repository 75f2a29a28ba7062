-- Dropped messages and those of a type and event are found without a walk through all messages; what the gateway asks of all
-- clinics is told to nobody in a transaction of one. docs/hl7.md

CREATE INDEX hl7_message_dropped ON hl7_message (tenant_id, id) WHERE state = 'dropped';
-- A message comes into it when it is settled, so that what is received pays nothing: those that wait are in the queue.
CREATE INDEX hl7_message_kind ON hl7_message (tenant_id, message_type, event, id) WHERE state <> 'received';

CREATE OR REPLACE FUNCTION hl7_all_feeds() RETURNS TABLE (
    tenant_id int, slug text, id int, name text, paused boolean, changed bigint, configuration jsonb
) LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT f.tenant_id, t.slug, f.id, f.name, f.paused, f.changed, f.configuration
      FROM hl7_feed f JOIN tenant t ON t.id = f.tenant_id
     WHERE nullif(current_setting('fhir.tenant', true), '') IS NULL ORDER BY f.id
$$;

CREATE OR REPLACE FUNCTION hl7_all_destinations() RETURNS TABLE (
    tenant_id int, slug text, id int, name text, paused boolean, changed bigint, feed_id int, configuration jsonb
) LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT d.tenant_id, t.slug, d.id, d.name, d.paused, d.changed, d.feed_id, d.configuration
      FROM hl7_destination d JOIN tenant t ON t.id = d.tenant_id
     WHERE nullif(current_setting('fhir.tenant', true), '') IS NULL ORDER BY d.id
$$;

DO $$
DECLARE
    f text;
BEGIN
    -- To replace a function takes its settings away, not who may call it.
    FOREACH f IN ARRAY ARRAY['hl7_all_feeds()', 'hl7_all_destinations()'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', f, current_schema());
    END LOOP;
END $$;
