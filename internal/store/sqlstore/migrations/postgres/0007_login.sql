-- Codes for a first login from elsewhere, and the logins that they made.

-- +goose Up
SET LOCAL statement_timeout = 0;

CREATE TABLE login_code (
    hash       BYTEA NOT NULL PRIMARY KEY, -- of a code: 128 random bits need no salt
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE login (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    public     BYTEA NOT NULL, -- the Ed25519 key that proves it; the private one never came here
    label      TEXT NOT NULL,
    created_by TEXT NOT NULL, -- who made the code
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
