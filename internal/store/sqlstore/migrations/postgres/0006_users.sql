-- What is known of users, one record for each tenant, and lists of one tenant's objects.

-- +goose Up
SET LOCAL statement_timeout = 0;

CREATE TABLE user_record (
    uid          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    id           TEXT COLLATE "C" NOT NULL, -- follows from issuer and subject
    tenant       TEXT COLLATE "C" NOT NULL, -- '' = the platform
    issuer       TEXT COLLATE "C" NOT NULL,
    subject      TEXT COLLATE "C" NOT NULL,
    roles        TEXT COLLATE "C" NOT NULL, -- JSON, names
    disabled     SMALLINT NOT NULL CHECK (disabled IN (0, 1)),
    username     TEXT COLLATE "C" NOT NULL, -- of the local directory; '' = none
    email        TEXT COLLATE "C" NOT NULL,
    display_name TEXT COLLATE "C" NOT NULL,
    revision     BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    UNIQUE (id, tenant)
);
CREATE INDEX user_record_tenant ON user_record (tenant, id);
CREATE INDEX user_record_username ON user_record (username);
CREATE INDEX user_record_email ON user_record (email);

CREATE INDEX service_tenant ON service (tenant, name);
CREATE INDEX object_tenant ON object (kind, tenant, name);
