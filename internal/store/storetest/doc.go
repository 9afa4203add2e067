// Package storetest is the suite that every implementation of store.Store passes:
// what the contract in package store says, held against a real database, and the
// PostgreSQL servers that tests use.
//
// It decides what "the same behaviour" means; it does not test what only one
// database can do (file modes, a full disk, kill -9): those tests lie beside the
// implementation.
//
// Entry points: [Run], [Postgres], [NewCluster]. Layer 2. It imports testing, so only
// tests import it.
package storetest
