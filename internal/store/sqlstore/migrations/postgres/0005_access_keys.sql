-- Long-lived access keys of services for the S3 gateway.

-- +goose Up
SET LOCAL statement_timeout = 0;

CREATE TABLE access_key (
    uid         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    id          TEXT COLLATE "C" NOT NULL UNIQUE, -- AKIA…
    name        TEXT COLLATE "C" NOT NULL UNIQUE, -- across tenants
    tenant      TEXT COLLATE "C" NOT NULL,        -- of the service; '' = the platform
    service     TEXT COLLATE "C" NOT NULL,
    service_uid TEXT COLLATE "C" NOT NULL REFERENCES service (uid) ON DELETE CASCADE,
    role        TEXT COLLATE "C" NOT NULL,
    role_uid    TEXT COLLATE "C" NOT NULL,
    trust       TEXT COLLATE "C" NOT NULL, -- the fingerprint of the role's statement that let it be made
    sealed      BYTEA  NOT NULL, -- the secret access key under the master key
    revision    BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    revoked_at  BIGINT NOT NULL  -- 0 = live
);
CREATE INDEX access_key_service ON access_key (service_uid);
CREATE INDEX access_key_role ON access_key (role_uid);
