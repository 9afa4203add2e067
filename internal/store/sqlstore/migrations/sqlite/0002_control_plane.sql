-- Issuers, route policies, changes that other processes follow, single use, quotas.

-- +goose Up
ALTER TABLE service ADD COLUMN jwks TEXT NOT NULL DEFAULT '';      -- JSON; '' = none
ALTER TABLE service ADD COLUMN jwks_uri TEXT NOT NULL DEFAULT '';
ALTER TABLE service ADD COLUMN tokens_per_minute INTEGER NOT NULL DEFAULT 0; -- 0 = no quota

ALTER TABLE revocation ADD COLUMN issuer TEXT NOT NULL DEFAULT '';
ALTER TABLE revocation ADD COLUMN subject TEXT NOT NULL DEFAULT ''; -- with issuer: one user
ALTER TABLE revocation ADD COLUMN kid TEXT NOT NULL DEFAULT '';
ALTER TABLE revocation ADD COLUMN every_token INTEGER NOT NULL DEFAULT 0 CHECK (every_token IN (0, 1));

-- One count for revocations and changes.
UPDATE counter SET name = 'feed' WHERE name = 'revocation';

CREATE TABLE object (
    uid        TEXT    NOT NULL PRIMARY KEY,
    kind       TEXT    NOT NULL,
    name       TEXT    NOT NULL, -- unique within the kind, across tenants
    tenant     TEXT    NOT NULL, -- '' = the platform
    owner      TEXT    NOT NULL,
    spec       TEXT    NOT NULL, -- canonical JSON
    revision   INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (kind, name)
) STRICT;

CREATE TABLE change (
    seq        INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (seq, kind, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX change_changed ON change (changed_at);

CREATE TABLE single_use (
    key        TEXT    NOT NULL PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX single_use_expires ON single_use (expires_at);

CREATE TABLE quota_use (
    service_uid TEXT    NOT NULL PRIMARY KEY,
    window_at   INTEGER NOT NULL,
    used        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
