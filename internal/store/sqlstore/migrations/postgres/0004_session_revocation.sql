-- Revocations of sessions: of one, and of a role's.

-- +goose Up
SET LOCAL statement_timeout = 0;

ALTER TABLE revocation ADD COLUMN role TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE revocation ADD COLUMN role_uid TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE revocation ADD COLUMN session_id TEXT COLLATE "C" NOT NULL DEFAULT ''; -- an access key id
