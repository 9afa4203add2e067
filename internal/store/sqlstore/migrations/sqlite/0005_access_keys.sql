-- Long-lived access keys of services for the S3 gateway.

-- +goose Up
CREATE TABLE access_key (
    uid         TEXT    NOT NULL PRIMARY KEY,
    id          TEXT    NOT NULL UNIQUE, -- AKIA…
    name        TEXT    NOT NULL UNIQUE, -- across tenants
    tenant      TEXT    NOT NULL,        -- of the service; '' = the platform
    service     TEXT    NOT NULL,
    service_uid TEXT    NOT NULL REFERENCES service (uid) ON DELETE CASCADE,
    role        TEXT    NOT NULL,
    role_uid    TEXT    NOT NULL,
    trust       TEXT    NOT NULL, -- the fingerprint of the role's statement that let it be made
    sealed      BLOB    NOT NULL, -- the secret access key under the master key
    revision    INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    revoked_at  INTEGER NOT NULL  -- 0 = live
) STRICT;
CREATE INDEX access_key_service ON access_key (service_uid);
CREATE INDEX access_key_role ON access_key (role_uid);
