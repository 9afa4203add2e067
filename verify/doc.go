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
// # Memory
//
// Verified tokens are remembered so that seeing one again costs no signature check:
// by a hash of the token, until it expires, at most Config.MaxCached of them, the
// least recently used goes first. Keys, dates and revocation are checked again at
// every hit; refused tokens are never remembered.
//
// # What it does not do
//
// It does not open sessions, introspect opaque tokens or decide what a caller may
// do. It logs nothing.
//
// Layer 2.
package verify
