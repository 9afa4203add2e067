// Package backup is the form of a backup: a whole database of one moment in one file, which
// either kind of database can be made from again.
//
// # The file
//
// gzip (RFC 1952) of JSON Lines: first the header, what of which deployment this is; then
// for each table its columns and, one array a line, its rows, with bytes as {"b": base64}; at
// the end how many rows those were, the SHA-256 of all lines before, and their HMAC-SHA-256
// under a key that follows from the master key. So a file that was cut or damaged is found by
// anybody, and one that somebody else wrote or changed by who has the master key: nothing is
// restored before that is known.
//
// Private keys, the key of the client secrets' hashes and the secrets of access keys are in
// it as they are in the database: sealed under the master key. The master key is not in it.
// Without it the file can't be restored, and tells names, trust and the audit log, but no
// secret.
//
// # A new epoch
//
// A database that comes from a backup has forgotten what was revoked since. So a restore
// begins another epoch (RULES E6): tokens and sessions from before are refused, keys rotate,
// and the count of the revocations begins anew for all that follow it. [Restored] is what it
// leaves in the database: it is authenticated too, since it excuses an audit chain that is
// shorter than its signed head.
//
// It does not read or write databases (package sqlstore), nor decide who may.
//
// Layer 3. Start at [Write] and [Open].
package backup
