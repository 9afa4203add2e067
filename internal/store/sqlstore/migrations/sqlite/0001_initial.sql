-- Forward only: a released migration is never changed, and there is no way down.
-- Times are microseconds since 1970, UTC; 0 = not set. Lists are JSON.

-- +goose Up
CREATE TABLE meta (
    key   TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The row of a counter is the lock under which its next value is given.
CREATE TABLE counter (
    name  TEXT    NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE service (
    uid            TEXT    NOT NULL PRIMARY KEY,
    name           TEXT    NOT NULL UNIQUE, -- across tenants
    tenant         TEXT    NOT NULL,        -- '' = the platform
    owner          TEXT    NOT NULL,        -- the label of the pipeline that applies it
    scopes         TEXT    NOT NULL,        -- JSON
    audiences      TEXT    NOT NULL,        -- JSON
    token_lifetime INTEGER NOT NULL,        -- microseconds; 0 = default
    disabled       INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    revision       INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL
) STRICT;

CREATE TABLE client_secret (
    id           TEXT    NOT NULL PRIMARY KEY,
    service_uid  TEXT    NOT NULL REFERENCES service (uid) ON DELETE CASCADE,
    hash         BLOB    NOT NULL, -- keyed: worthless without the master key
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL
) STRICT;
CREATE INDEX client_secret_service ON client_secret (service_uid);

CREATE TABLE signing_key (
    kid        TEXT    NOT NULL PRIMARY KEY,
    purpose    TEXT    NOT NULL,
    algorithm  TEXT    NOT NULL,
    public     TEXT    NOT NULL, -- public JWK
    sealed     BLOB    NOT NULL, -- private key under the master key
    created_at INTEGER NOT NULL,
    publish_at INTEGER NOT NULL,
    use_from   INTEGER NOT NULL,
    use_until  INTEGER NOT NULL,
    keep_until INTEGER NOT NULL
) STRICT;
CREATE INDEX signing_key_purpose ON signing_key (purpose, created_at, kid);

CREATE TABLE revocation (
    seq         INTEGER NOT NULL PRIMARY KEY,
    jti         TEXT    NOT NULL,
    service     TEXT    NOT NULL,
    service_uid TEXT    NOT NULL,
    before_at   INTEGER NOT NULL, -- 0 = every token
    expires_at  INTEGER NOT NULL, -- 0 = never
    created_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX revocation_expires ON revocation (expires_at);

-- The events stand last, so that a search by time need not read them.
CREATE TABLE audit_block (
    replica     TEXT    NOT NULL,
    seq         INTEGER NOT NULL,
    first_at    INTEGER NOT NULL,
    last_at     INTEGER NOT NULL,
    event_count INTEGER NOT NULL,
    prev        BLOB    NOT NULL,
    hash        BLOB    NOT NULL,
    events      TEXT    NOT NULL, -- JSON Lines
    PRIMARY KEY (replica, seq)
) STRICT;

CREATE TABLE audit_head (
    replica   TEXT    NOT NULL,
    seq       INTEGER NOT NULL,
    hash      BLOB    NOT NULL,
    signed_at INTEGER NOT NULL,
    kid       TEXT    NOT NULL,
    signature BLOB    NOT NULL,
    PRIMARY KEY (replica, seq)
) STRICT, WITHOUT ROWID;
