// Package s3api holds the words that the S3 gateway and its origins share: the names of
// operations, what an authorised request and its answer are, and the errors of S3.
//
// A front door (package s3gw) proves and authorises who asks, resolves the operation, and
// hands a [Request] to the [Origin] of the bucket. An origin knows no callers: what it is
// given it does. Keys, prefixes and markers in a Request and in a Response are those that
// the caller sees: an origin that keeps a bucket below a prefix, or under another name, adds
// and removes that by itself.
//
// It decides nothing and does no I/O.
//
// Layer 2.
package s3api
