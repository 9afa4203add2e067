// Package store names what is kept on disk: the records and the narrow interfaces
// through which the layers above read and write them. Package sqlstore implements
// them; package storetest is the suite that every implementation passes.
//
// Reads go through small interfaces, one per kind of record. Every write is a
// method of [Tx] and happens in [Store.Update], together with the audit block that
// tells of it: there is no other way to write.
//
// Errors: a missing row is countersign.NotFound, a taken name or a lost race
// countersign.Conflict, a database that can't answer (closed, full disk, locked
// beyond the busy timeout) countersign.Unavailable, all through errors.Is.
//
// Layer 1.
package store
