// Package verify verifies JSON Web Tokens and says who they are about: a user or a
// service, from one or several issuers.
//
// # What to use first
//
//	verifier, err := verify.New(verify.Config{
//		Audience: "parse-service",
//		Issuers: []verify.Issuer{
//			{URL: "https://auth.example.com"}, // Countersign: services
//			{URL: cognitoURL, Subject: verify.User, Audiences: []string{"7abcdefghijkl"}},
//		},
//	})
//	token, err := verifier.Verify(ctx, text)
//
// Most receivers give the [Verifier] to package middleware and never call it.
//
// # What it decides
//
// A token is good when its issuer is configured (byte by byte, before anything is
// fetched), its algorithm is allowed for that issuer and fits the key, its type is
// the profile's, its signature is the issuer's, it is for us (aud), it is neither
// expired nor from the future (60 s skew), it does not need a proof that we can't
// check (cnf), and nobody has revoked it. RFC 7515, RFC 7519, RFC 8725, RFC 9068.
//
// Tokens of a foreign issuer assert nothing that [Issuer] does not allow: no role,
// scope, tenant or bare service name.
//
// # Keys
//
// Key sets are fetched on first use, at the issuer's discovery document, and are
// refreshed by use: in the background from 80 % of their age on, before answering
// once they are too old. An unknown key id asks the issuer again, at most every 10 s.
// Keys that a fresh answer no longer lists are gone, also for tokens that were
// verified before. Through an outage (network, 5xx) the last good keys are kept for
// 24 hours.
//
// # Revocation
//
// A countersign issuer signs a feed of what is revoked: tokens, services, users, foreign
// issuers, keys, all before a time. It is followed for every issuer of the profile
// Countersign that is asked for its metadata, if that names revocations_endpoint and
// revocations_jwks_uri, and where [Issuer] names its URLs; not with [Issuer].Keys or
// JWKSURL alone, nor from an older server, whose metadata is asked again every hour. From
// the first token of any configured issuer on there is one goroutine for each feed, which
// holds a request open: a revocation counts as soon as its page is there, also for tokens
// that were verified before. [Verifier.Close] ends it.
//
// A page is signed with EdDSA by a key of the feed's own set, is at most 2 minutes old
// and follows exactly what is known; any other answer is refused as a whole, and what was
// known stays in force. What is revoked is known up to the time that the server says. Past
// Config.MaxStaleness, and until the first page came, tokens of that issuer are refused
// with countersign.Unavailable: a Verify waits for the first page until 2 seconds after
// the first token.
//
// Where only the clock has moved on, as after a sleep of the machine, a Verify has the
// feed asked anew and waits for the answer, at most 2 seconds.
//
// What a feed says about users and issuers also holds for the tokens of the foreign
// issuers of the same verifier, as far as it is known: those are not refused when the
// feed is stale. They wait for its first page as well, and go on without.
//
// # Memory
//
// Verified tokens are remembered so that seeing one again costs no signature check:
// by a hash of the token, until it expires, at most Config.MaxCached of them, the
// least recently used goes first. Keys, dates and revocation are checked again at
// every hit; refused tokens are never remembered. Of a feed what is alive is kept, at
// most a million entries (half of that where they are about services or keys); one with
// more is not taken and becomes stale.
//
// # What it does not do
//
// It does not open sessions, introspect opaque tokens or decide what a caller may
// do. It logs nothing.
//
// Layer 2.
package verify
