// Package keys keeps the signing keys: it makes them, seals the private halves at
// rest under the master key, publishes the public halves as a JWK set (RFC 7517), and
// signs with whichever key the schedule in its row puts in charge (RULES B6). Keys rotate
// by that schedule: a successor is made a whole period ahead, by one process of all that
// share the store. It also makes client secrets and their keyed hashes (RULES B3).
//
// A key serves one [Purpose] for ever (RULES B7); its id is its RFC 7638 thumbprint,
// so that a row can't pass one key off as another. Nothing here prints a key: every
// type that holds one writes REDACTED.
//
// Keys of cursors and sealing keys are symmetric; from the latter package session derives from them what seals a session token
// (RULES D5). They keep the same schedule and are never published. Broker keys are RSA and
// made when one is first asked for: most deployments never need one.
//
// Where no key is left whose time is now, because every server was off for longer than a
// period or the key in use was compromised, one is made that signs at once: verifiers ask
// again for a key id that they don't know.
//
// The master key can be replaced (RULES B8): a ring opens what either the master key or the
// one before has sealed, and RewrapIn seals all of it under the new one. The key of the
// client secrets' hashes is a sealed value of its own, "client_secret_key" in the store's
// settings, so that the hashes outlive the master key. A store from before that value gets
// the key that was derived from its master key then.
//
// The secrets of access keys for the S3 gateway are sealed one by one, each bound to its
// service, role and end (RULES F7): what signs requests has to be known again, so a hash
// would not do.
//
// It does not mint tokens (package token), does not verify them (package verify) and
// does not serve the JWK set (package oauth).
//
// What is held in memory: every key that the store has, opened, until Reload; for each
// purpose the key set between two changes of its schedule.
//
// Layer 2. Start at [LoadMaster] and [Open].
package keys
