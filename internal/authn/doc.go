// Package authn proves who calls our own endpoints: the IAM API, introspection and
// revocation. It decides between these proofs:
//
//   - a bearer: a service token of ours with the audience iam-service, verified in full
//     by package verify with our own keys, and not revoked (RULES C4, E1);
//   - the peer of the Unix socket, whose uid is exactly that of the server: the local
//     administrator (RULES G1);
//   - a login's proof, over this one request: an administrator at another machine (RULES G2,
//     package loginproof).
//
// Headers win: a request that carries any Authorization or Service-Authorization header
// is judged by it alone, also on the socket. So a program that passes somebody's token
// along through the socket never acts as the administrator by mistake.
//
// [Authenticator.Both] takes users besides: their own issuers' tokens, with the roles that the
// issuer may assert and those that were assigned here. It finds out in which tenants they
// belong, what they may do there, and which tenant a request is about.
//
// It does not say what a caller may do at a route, and knows no client secrets (package oauth).
//
// Layer 5. Start at [New].
package authn
