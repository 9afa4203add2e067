// Package loginproof is how an administrator at another machine proves a request: with a
// signature by a key that never leaves that machine, over this very request, in the header
// Authorization: Countersign-Login PROOF. So no administrator's bearer lies on a disk or goes
// over a wire (RULES G1): who reads a proof can do nothing with it but send the same request
// to the same server within a minute, and a change not even that.
//
// PROOF is a JWT (RFC 7519) with one fixed algorithm, EdDSA, whose kid names the login. Its
// claims are the server's issuer, an id, the time, and method, path with query, the SHA-256 of
// the headers that change what is asked for (the tenant, the revision, how the body is read) and
// that of the body: what RFC 9449 (DPoP) has, and the headers and the body.
//
// It does not know which logins there are (package authn).
//
// Layer 2. Entry points: [Sign], [Parse].
package loginproof
