-- The tokens of other issuers that prove a service, and who may refer to it.

-- +goose Up
SET LOCAL statement_timeout = 0;

ALTER TABLE service ADD COLUMN trust TEXT NOT NULL DEFAULT '';         -- JSON; '' = none
ALTER TABLE service ADD COLUMN shared_with TEXT NOT NULL DEFAULT '[]'; -- names of tenants
