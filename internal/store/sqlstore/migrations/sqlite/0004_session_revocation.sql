-- Revocations of sessions: of one, and of a role's.

-- +goose Up
ALTER TABLE revocation ADD COLUMN role TEXT NOT NULL DEFAULT '';
ALTER TABLE revocation ADD COLUMN role_uid TEXT NOT NULL DEFAULT '';
ALTER TABLE revocation ADD COLUMN session_id TEXT NOT NULL DEFAULT ''; -- an access key id
