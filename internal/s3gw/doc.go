// Package s3gw is the front door of object storage: it proves who sends an S3 request,
// decides whether they may, and carries it out at the origin of the bucket, streaming both
// ways. The objects stay where they are; the clients are unmodified.
//
// operation.go is the table of what is served: an operation that is no row of it does not
// exist here. Each request goes through the same numbered steps (handler.go), whatever its
// row:
//
//  1. [resolve] reads the host, the path and the query into a bucket, a key and a row of
//     the table: no trust yet
//  2. package authn proves the signer; only without any sign of a signature a request is
//     anonymous (RULES F2)
//  3. the headers and parameters that the row takes are kept, all others of S3 refused
//     (RULES F1)
//  4. the role's permissions within the session's policy decide, by key (RULES D2, D7)
//  5. the origin does it, and its answer is passed on
//
// and has one audit event.
//
// # Keys
//
// There is one form of a key: the bytes behind the first slash of the path, decoded once.
// They are authorised, forwarded and audited. What another program could read as another
// key is refused with InvalidArgument for every origin, the table is at [s3api.CheckKey].
//
// # What it does not do
//
// It keeps no objects and caches none. It makes and deletes no buckets: those are
// resources. It serves no websites, no CORS and no browser forms (POST Object).
//
// Source: Amazon S3 API reference, version 2006-03-01.
//
// Layer 6. Start at [New].
package s3gw
