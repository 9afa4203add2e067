// Package token mints service tokens: JWT access tokens by RFC 9068, signed with the
// token key that is in charge (package keys).
//
// A token says iss, sub, aud (one string), client_id, service_id, service_uid, iat,
// exp, jti and, where there are any, scope and tenant. It never says act or sub_iss:
// those make a user's token (RULES A3).
//
// It does not decide what a service may have (package policy), does not store or audit
// anything, and does not verify (package verify).
//
// Layer 3. Start at [New].
package token
