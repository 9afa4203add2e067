-- Forward only: a released migration is never changed, and there is no way down.
-- Numbers, tables and columns are those of SQLite. Times are microseconds since 1970,
-- UTC; 0 = not set. Lists are JSON. Names compare byte by byte, as in SQLite.

-- +goose Up
-- A migration may take longer than a statement of the service.
SET LOCAL statement_timeout = 0;

CREATE TABLE meta (
    key   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

-- The row of a counter is the lock under which its next value is given.
CREATE TABLE counter (
    name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);

CREATE TABLE service (
    uid            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name           TEXT COLLATE "C" NOT NULL UNIQUE, -- across tenants
    tenant         TEXT COLLATE "C" NOT NULL,        -- '' = the platform
    owner          TEXT COLLATE "C" NOT NULL,        -- the label of the pipeline that applies it
    scopes         TEXT     NOT NULL, -- JSON
    audiences      TEXT     NOT NULL, -- JSON
    token_lifetime BIGINT   NOT NULL, -- microseconds; 0 = default
    disabled       SMALLINT NOT NULL CHECK (disabled IN (0, 1)),
    revision       BIGINT   NOT NULL,
    created_at     BIGINT   NOT NULL,
    updated_at     BIGINT   NOT NULL
);

CREATE TABLE client_secret (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    service_uid  TEXT COLLATE "C" NOT NULL REFERENCES service (uid) ON DELETE CASCADE,
    hash         BYTEA  NOT NULL, -- keyed: worthless without the master key
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL
);
CREATE INDEX client_secret_service ON client_secret (service_uid);

CREATE TABLE signing_key (
    kid        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    purpose    TEXT COLLATE "C" NOT NULL,
    algorithm  TEXT   NOT NULL,
    public     TEXT   NOT NULL, -- public JWK
    sealed     BYTEA  NOT NULL, -- private key under the master key
    created_at BIGINT NOT NULL,
    publish_at BIGINT NOT NULL,
    use_from   BIGINT NOT NULL,
    use_until  BIGINT NOT NULL,
    keep_until BIGINT NOT NULL
);
CREATE INDEX signing_key_purpose ON signing_key (purpose, created_at, kid);

CREATE TABLE revocation (
    seq         BIGINT NOT NULL PRIMARY KEY,
    jti         TEXT COLLATE "C" NOT NULL,
    service     TEXT COLLATE "C" NOT NULL,
    service_uid TEXT COLLATE "C" NOT NULL,
    before_at   BIGINT NOT NULL, -- 0 = every token
    expires_at  BIGINT NOT NULL, -- 0 = never
    created_at  BIGINT NOT NULL
);
CREATE INDEX revocation_expires ON revocation (expires_at);

CREATE TABLE audit_block (
    replica     TEXT COLLATE "C" NOT NULL,
    seq         BIGINT NOT NULL,
    first_at    BIGINT NOT NULL,
    last_at     BIGINT NOT NULL,
    event_count BIGINT NOT NULL,
    prev        BYTEA  NOT NULL,
    hash        BYTEA  NOT NULL,
    events      TEXT   NOT NULL, -- JSON Lines
    PRIMARY KEY (replica, seq)
);

CREATE TABLE audit_head (
    replica   TEXT COLLATE "C" NOT NULL,
    seq       BIGINT NOT NULL,
    hash      BYTEA  NOT NULL,
    signed_at BIGINT NOT NULL,
    kid       TEXT COLLATE "C" NOT NULL,
    signature BYTEA  NOT NULL,
    PRIMARY KEY (replica, seq)
);
