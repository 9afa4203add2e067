-- Codes for a first login from elsewhere, and the logins that they made.

-- +goose Up
CREATE TABLE login_code (
    hash       BLOB NOT NULL PRIMARY KEY, -- of a code: 128 random bits need no salt
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
);

CREATE TABLE login (
    id         TEXT NOT NULL PRIMARY KEY,
    public     BLOB NOT NULL, -- the Ed25519 key that proves it; the private one never came here
    label      TEXT NOT NULL,
    created_by TEXT NOT NULL, -- who made the code
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
);
