// Package trust verifies a proof of identity and decides whether a role trusts it. It
// knows three proofs: a JWT of a foreign issuer, a JWT of ours, and a signed
// GetCallerIdentity of AWS.
//
// # What it decides
//
// [Verifier.WebIdentity] proves who a JWT is about. The issuer is chosen by its exact
// name before anything is fetched (RULES C1), and among several Issuer documents of one
// URL by the audience; everything else is package verify's work, with one verify.Verifier
// for each revision of an Issuer document, so that a change of one issuer costs no other
// its keys. A failure is never remembered.
//
// [AWSVerifier.Verify] proves who an AWS caller is (RULES D8): the request that the caller
// signed is parsed into parts, each part is held against what it may be, and a request is
// built anew from them; no byte of the client's is forwarded unread. Its signature is used
// once on all replicas, before the one call of the AWS STS that proves it. What the STS
// answers is read strictly, and is no proof unless every byte is where it should be.
//
// [Statement.Match] compares a proven [Identity] with one trust statement of a role: AND
// inside, patterns and not regular expressions (RULES D1), conditions in CEL (RULES D4).
// An error is no match.
//
// # What it does not do
//
// It stores nothing but keys and single-use marks, mints nothing, knows no roles and no
// sessions, and writes no audit events.
//
// Layer 3. Start at [New], [NewAWS] and [Compile].
package trust
