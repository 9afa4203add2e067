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
// It does not mint tokens (package token), does not verify them (package verify) and
// does not serve the JWK set (package oauth).
//
// What is held in memory: every key that the store has, opened, until Reload; for each
// purpose the key set between two changes of its schedule.
//
// Layer 2. Start at [LoadMaster] and [Open].
package keys
