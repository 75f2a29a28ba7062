-- Clients, grants and what has been taken back: the authorization server's tables. docs/smart.md
-- Times are microseconds since 1970 UTC; digests are SHA-256 of random values that only their holders have.

CREATE TABLE oauth_client (
    tenant_id int NOT NULL,
    created bigint NOT NULL,
    approved bigint NOT NULL DEFAULT 0,
    id text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    -- none, client_secret_basic, client_secret_post or private_key_jwt
    method text COLLATE "C" NOT NULL,
    -- active, pending (until somebody of the clinic approves it) or disabled
    state text COLLATE "C" NOT NULL,
    scope text COLLATE "C" NOT NULL,
    jwks_uri text COLLATE "C" NOT NULL DEFAULT '',
    launch_uri text COLLATE "C" NOT NULL DEFAULT '',
    created_by text COLLATE "C" NOT NULL DEFAULT '',
    approved_by text COLLATE "C" NOT NULL DEFAULT '',
    secret bytea NOT NULL DEFAULT '',
    registration bytea NOT NULL DEFAULT '',
    redirect_uris text[] NOT NULL DEFAULT '{}',
    grant_types text[] NOT NULL DEFAULT '{}',
    jwks jsonb,
    -- What else a client has said of itself when it registered.
    metadata jsonb NOT NULL DEFAULT '{}',
    CONSTRAINT oauth_client_pkey PRIMARY KEY (tenant_id, id)
);

CREATE TABLE initial_access_token (
    tenant_id int NOT NULL,
    expires bigint NOT NULL,
    uses int NOT NULL,
    digest bytea NOT NULL,
    created_by text COLLATE "C" NOT NULL DEFAULT '',
    CONSTRAINT initial_access_token_pkey PRIMARY KEY (tenant_id, digest)
);

-- What a client has asked for, while the person signs in and decides.
CREATE TABLE authorization_request (
    tenant_id int NOT NULL,
    created bigint NOT NULL,
    expires bigint NOT NULL,
    digest bytea NOT NULL,
    session_id text COLLATE "C" NOT NULL DEFAULT '',
    request jsonb NOT NULL,
    CONSTRAINT authorization_request_pkey PRIMARY KEY (tenant_id, digest)
);
CREATE INDEX authorization_request_expires ON authorization_request (tenant_id, expires);

-- What a person has let a client do. revoked is 0 while it holds.
CREATE TABLE oauth_grant (
    tenant_id int NOT NULL,
    created bigint NOT NULL,
    expires bigint NOT NULL,
    revoked bigint NOT NULL DEFAULT 0,
    id text COLLATE "C" NOT NULL,
    client_id text COLLATE "C" NOT NULL,
    person_id text COLLATE "C" NOT NULL,
    session_id text COLLATE "C" NOT NULL DEFAULT '',
    scope text COLLATE "C" NOT NULL,
    context jsonb NOT NULL DEFAULT '{}',
    CONSTRAINT oauth_grant_pkey PRIMARY KEY (tenant_id, id)
);
CREATE INDEX oauth_grant_person ON oauth_grant (tenant_id, person_id, client_id);
CREATE INDEX oauth_grant_client ON oauth_grant (tenant_id, client_id);
CREATE INDEX oauth_grant_session ON oauth_grant (tenant_id, session_id) WHERE session_id <> '';

CREATE TABLE authorization_code (
    tenant_id int NOT NULL,
    expires bigint NOT NULL,
    used bigint NOT NULL DEFAULT 0,
    digest bytea NOT NULL,
    grant_id text COLLATE "C" NOT NULL,
    redirect_uri text COLLATE "C" NOT NULL,
    challenge text COLLATE "C" NOT NULL,
    nonce text COLLATE "C" NOT NULL DEFAULT '',
    CONSTRAINT authorization_code_pkey PRIMARY KEY (tenant_id, digest)
);
CREATE INDEX authorization_code_expires ON authorization_code (tenant_id, expires);

CREATE TABLE refresh_token (
    tenant_id int NOT NULL,
    created bigint NOT NULL,
    expires bigint NOT NULL,
    used bigint NOT NULL DEFAULT 0,
    digest bytea NOT NULL,
    grant_id text COLLATE "C" NOT NULL,
    CONSTRAINT refresh_token_pkey PRIMARY KEY (tenant_id, digest)
);
CREATE INDEX refresh_token_grant ON refresh_token (tenant_id, grant_id);
CREATE INDEX refresh_token_expires ON refresh_token (tenant_id, expires);

-- An EHR launch that somebody of the clinic has begun: for whom, and what is open there.
CREATE TABLE smart_launch (
    tenant_id int NOT NULL,
    created bigint NOT NULL,
    expires bigint NOT NULL,
    digest bytea NOT NULL,
    person_id text COLLATE "C" NOT NULL,
    client_id text COLLATE "C" NOT NULL DEFAULT '',
    context jsonb NOT NULL,
    CONSTRAINT smart_launch_pkey PRIMARY KEY (tenant_id, digest)
);
CREATE INDEX smart_launch_expires ON smart_launch (tenant_id, expires);

-- Assertions that were used once and may not be used again before they expire.
CREATE TABLE client_assertion (
    tenant_id int NOT NULL,
    expires bigint NOT NULL,
    client_id text COLLATE "C" NOT NULL,
    digest bytea NOT NULL,
    CONSTRAINT client_assertion_pkey PRIMARY KEY (tenant_id, client_id, digest)
);
CREATE INDEX client_assertion_expires ON client_assertion (tenant_id, expires);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['oauth_client', 'initial_access_token', 'authorization_request', 'oauth_grant',
                                'authorization_code', 'refresh_token', 'smart_launch', 'client_assertion'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant_isolation ON %I USING '
                       '(tenant_id = nullif(current_setting(''fhir.tenant'', true), '''')::int) WITH CHECK '
                       '(tenant_id = nullif(current_setting(''fhir.tenant'', true), '''')::int)', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO fhir_app', name);
    END LOOP;
END $$;

-- What has been taken back before it expired. Every process reads the rows of all tenants, so it is no tenant's table: it
-- holds random ids only. kind: token (jti), grant (id), person (id) or client ("slug client_id"): of the last two, what
-- was issued until then.
CREATE TABLE revocation (
    at bigint NOT NULL,
    until bigint NOT NULL,
    -- The writing transaction: whoever has looked knows which transactions it has not seen.
    xid bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
    kind text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    CONSTRAINT revocation_pkey PRIMARY KEY (kind, value)
);
CREATE INDEX revocation_xid ON revocation (xid);
CREATE INDEX revocation_until ON revocation (until);
GRANT SELECT, INSERT, UPDATE, DELETE ON revocation TO fhir_app;
