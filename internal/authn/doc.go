// Package authn proves who calls our own endpoints: the IAM API, introspection and
// revocation. It decides between two proofs:
//
//   - a bearer: a service token of ours with the audience iam-service, verified in full
//     by package verify with our own keys, and not revoked (RULES C4, E1);
//   - the peer of the Unix socket, whose uid is exactly that of the server: the local
//     administrator (RULES G1).
//
// Headers win: a request that carries any Authorization or Service-Authorization header
// is judged by it alone, also on the socket. So a program that passes somebody's token
// along through the socket never acts as the administrator by mistake.
//
// It does not say what a caller may do, and knows no client secrets (package oauth).
// Users' tokens can't be verified here yet: they are refused.
//
// Layer 5. Start at [New].
package authn
