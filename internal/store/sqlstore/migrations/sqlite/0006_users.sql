-- What is known of users, one record for each tenant, and lists of one tenant's objects.

-- +goose Up
CREATE TABLE user_record (
    uid          TEXT NOT NULL PRIMARY KEY,
    id           TEXT NOT NULL, -- follows from issuer and subject
    tenant       TEXT NOT NULL, -- '' = the platform
    issuer       TEXT NOT NULL,
    subject      TEXT NOT NULL,
    roles        TEXT NOT NULL, -- JSON, names
    disabled     INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    username     TEXT NOT NULL, -- of the local directory; '' = none
    email        TEXT NOT NULL,
    display_name TEXT NOT NULL,
    revision     INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    UNIQUE (id, tenant)
);
CREATE INDEX user_record_tenant ON user_record (tenant, id);
CREATE INDEX user_record_username ON user_record (username);
CREATE INDEX user_record_email ON user_record (email);

CREATE INDEX service_tenant ON service (tenant, name);
CREATE INDEX object_tenant ON object (kind, tenant, name);
