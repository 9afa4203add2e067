-- Issuers, route policies, changes that other processes follow, single use, quotas.

-- +goose Up
SET LOCAL statement_timeout = 0;

ALTER TABLE service ADD COLUMN jwks TEXT NOT NULL DEFAULT '';      -- JSON; '' = none
ALTER TABLE service ADD COLUMN jwks_uri TEXT NOT NULL DEFAULT '';
ALTER TABLE service ADD COLUMN tokens_per_minute BIGINT NOT NULL DEFAULT 0; -- 0 = no quota

ALTER TABLE revocation ADD COLUMN issuer TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE revocation ADD COLUMN subject TEXT COLLATE "C" NOT NULL DEFAULT ''; -- with issuer: one user
ALTER TABLE revocation ADD COLUMN kid TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE revocation ADD COLUMN every_token SMALLINT NOT NULL DEFAULT 0 CHECK (every_token IN (0, 1));

CREATE TABLE object (
    uid        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    kind       TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL, -- unique within the kind, across tenants
    tenant     TEXT COLLATE "C" NOT NULL, -- '' = the platform
    owner      TEXT COLLATE "C" NOT NULL,
    spec       TEXT   NOT NULL, -- canonical JSON
    revision   BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (kind, name)
);

CREATE TABLE change (
    seq        BIGINT NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (seq, kind, name)
);
CREATE INDEX change_changed ON change (changed_at);

CREATE TABLE single_use (
    key        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX single_use_expires ON single_use (expires_at);

CREATE TABLE quota_use (
    service_uid TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    window_at   BIGINT NOT NULL,
    used        BIGINT NOT NULL
);
