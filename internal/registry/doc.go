// Package registry is the in-memory view of the store that the front doors read: a
// token is minted, introspected or verified without a database read.
//
// It decides which service a name is right now, with which live secrets, and
// whether a token of ours is revoked (RULES A5, E1, E3). It is a cache that is never
// stale in this process: who changes a service calls [Registry.Forget] after the
// commit, and a load that began before that never brings the old view back. When it
// can't tell, it answers countersign.Unavailable and the caller refuses.
//
// It does not authenticate, does not change anything but the time of last use of a
// secret, and does not follow the changes of other processes: with SQLite there are
// none.
//
// What is held in memory:
//
//	services     key: name; until Forget or the bound (Config.MaxServices, second chance)
//	unknown      key: name; until Forget or a minute, 10,000 names; one read each
//	revocations  key: jti, or service and uid; until 5 minutes past their end; what the store has
//	uses         key: secret id; until written and idle for 2 hours; 100,000
//
// Entry point: [New]. Layer 4.
package registry
