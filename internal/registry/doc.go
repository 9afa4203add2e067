// Package registry is the in-memory view of the store that the front doors read: a
// token is minted, introspected or verified without a database read.
//
// It decides which service a name is right now, with which live secrets, whether a
// token is revoked, whether what is known is fresh enough to say so, and whether a
// service's quota has a token left (RULES A5, E1 to E4). When it can't tell, it answers
// countersign.Unavailable and the caller refuses.
//
// It is never stale about this process: who changes a service calls [Registry.Forget]
// after the commit, who revokes calls [Registry.Revoke], and a load that began before
// that never brings the old view back. Of other processes on the same database
// (Config.Shared) it learns by [Registry.Follow], which polls the store's count of
// changes; [Registry.Fresh] says as of when the view is right. Who missed changes that
// the store has forgotten, or finds a database that was restored, starts anew.
//
// The feed that receivers follow comes out of the same view: [Registry.RevocationsSince].
// It is read from the store alone, in the order of the numbers, so that a follower never
// passes one that comes late; a check knows an own revocation before that.
//
// It does not authenticate, and does not change anything but the time of last use of a
// secret and the leases of quotas.
//
// What is held in memory:
//
//	services     key: name; until Forget or the bound (Config.MaxServices, second chance);
//	             32,768 are ready to use, the others are records, 512 bytes on average
//	lists        key: their words; shared between services; 10,000, then anew
//	unknown      key: name; until Forget or a minute, 10,000 names; one read each
//	roles        key: name; until Forget or a change; 10,000, then one takes the place of any
//	buckets      key: name; likewise, 20,000
//	access keys  key: access key id; likewise, 20,000, with their secrets
//	revocations  key: what they name; until 5 minutes past their end; what the store has
//	feed         key: number; likewise
//	quotas       key: service uid; one minute; the services with a quota that got tokens
//	uses         key: secret id; until written and idle for 2 hours; 100,000
//
// A cached service takes about 200 bytes as a record and 500 when it is ready to use, a
// revoked token about 100.
//
// Entry point: [New]. Layer 4.
package registry
