// Package s3origin makes origins of buckets: S3-compatible stores, and folders of this
// machine by package s3dir.
//
// An [Origin] carries out what the gateway has authorised. It builds the store's request
// from the words of package s3api, never from bytes of the client, signs it with the
// bucket's own credentials and streams both bodies. What the client sees names the bucket
// of the gateway: the store's bucket and the prefix are added on the way there and removed
// on the way back.
//
// # What is committed
//
// A body that turns out wrong breaks the request before its last byte, so the store has
// less than was announced and keeps nothing. A request whose body was begun is never sent
// again. An answer that ends early is an error of Read, never an end.
//
// # What it refuses
//
// Keys with the segments . and .. and with NUL: whether a store takes them as they are or
// as a path, nobody can know. Copies between two stores, or between credentials
// ([Origin.Do]). Redirects.
//
// # Credentials
//
// Static ones whose secret is read from a file, again when that changes; those of the AWS
// chain; and those of a role of AWS that trusts our issuer, limited to the bucket. The
// latter two are renewed from 60 s before their end in the background, one call at a time;
// who has valid ones never waits.
//
// Layer 5. Start at [NewPool]; [New] makes one origin.
package s3origin
