-- Who may sign in at a clinic, with what, and who has. Tenant 0 is the platform's own people. docs/people.md
-- Times are microseconds since 1970 UTC.

CREATE TABLE person (
    tenant_id int NOT NULL,
    created bigint NOT NULL,
    password_changed bigint NOT NULL DEFAULT 0,
    must_change_password boolean NOT NULL DEFAULT false,
    disabled boolean NOT NULL DEFAULT false,
    id text COLLATE "C" NOT NULL,
    username text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    fhir_user text COLLATE "C" NOT NULL DEFAULT '',
    -- An argon2id hash in the PHC string format; empty for those who sign in elsewhere only.
    password text COLLATE "C" NOT NULL DEFAULT '',
    -- "issuer subject" at the clinic's OpenID provider; empty for nobody known there.
    upstream text COLLATE "C" NOT NULL DEFAULT '',
    roles text[] NOT NULL,
    CONSTRAINT person_pkey PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX person_username ON person (tenant_id, username);
CREATE UNIQUE INDEX person_upstream ON person (tenant_id, upstream) WHERE upstream <> '';

-- Second factors: kind totp (secret sealed), webauthn (secret is the public key), recovery (secret is a hash).
CREATE TABLE second_factor (
    tenant_id int NOT NULL,
    created bigint NOT NULL,
    last_used bigint NOT NULL DEFAULT 0,
    -- totp: the time step of the code used last; webauthn: the authenticator's counter.
    counter bigint NOT NULL DEFAULT 0,
    confirmed boolean NOT NULL DEFAULT true,
    person_id text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL DEFAULT '',
    secret bytea NOT NULL,
    CONSTRAINT second_factor_pkey PRIMARY KEY (tenant_id, person_id, id)
);

-- How often signing in has failed of late, by the hash of who was named or where it came from, known or not.
CREATE TABLE sign_in_failure (
    tenant_id int NOT NULL,
    last bigint NOT NULL,
    locked_until bigint NOT NULL DEFAULT 0,
    failures int NOT NULL,
    subject bytea NOT NULL,
    CONSTRAINT sign_in_failure_pkey PRIMARY KEY (tenant_id, subject)
);
CREATE INDEX sign_in_failure_last ON sign_in_failure (tenant_id, last);

-- digest is the SHA-256 of the cookie's value; id is what people see and revoke.
CREATE TABLE web_session (
    tenant_id int NOT NULL,
    created bigint NOT NULL,
    seen bigint NOT NULL,
    expires bigint NOT NULL,
    revoked bigint NOT NULL DEFAULT 0,
    digest bytea NOT NULL,
    id text COLLATE "C" NOT NULL,
    person_id text COLLATE "C" NOT NULL,
    address text COLLATE "C" NOT NULL DEFAULT '',
    user_agent text COLLATE "C" NOT NULL DEFAULT '',
    -- What the person has shown so far: password, totp, webauthn, recovery, upstream.
    methods text[] NOT NULL,
    -- What the pages keep between two steps, such as the challenge of a passkey.
    state jsonb NOT NULL DEFAULT '{}',
    CONSTRAINT web_session_pkey PRIMARY KEY (tenant_id, digest)
);
CREATE INDEX web_session_person ON web_session (tenant_id, person_id, created);
CREATE INDEX web_session_expires ON web_session (tenant_id, expires);

CREATE TABLE clinic_setting (
    tenant_id int NOT NULL,
    name text COLLATE "C" NOT NULL,
    value jsonb NOT NULL,
    CONSTRAINT clinic_setting_pkey PRIMARY KEY (tenant_id, name)
);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['person', 'second_factor', 'sign_in_failure', 'web_session', 'clinic_setting'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant_isolation ON %I USING '
                       '(tenant_id = nullif(current_setting(''fhir.tenant'', true), '''')::int) WITH CHECK '
                       '(tenant_id = nullif(current_setting(''fhir.tenant'', true), '''')::int)', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO fhir_app', name);
    END LOOP;
END $$;
-- The audit trail names people by their accounts: they are disabled, never removed.
REVOKE DELETE ON person FROM fhir_app;
