// Package oauth is the front door for service tokens. It serves
//
//	POST /oauth2/token                             RFC 6749 §4.4, RFC 8707, RFC 9068
//	POST /oauth2/introspect                        RFC 7662
//	POST /oauth2/revoke                            RFC 7009
//	GET  /.well-known/openid-configuration         OpenID Connect Discovery 1.0 §4
//	GET  /.well-known/oauth-authorization-server   RFC 8414
//	GET  /.well-known/jwks.json                    RFC 7517
//
// It decides who the client is (RFC 6749 §2.3.1: client_secret_basic and
// client_secret_post) and how an answer looks on the wire. What a token may say is
// decided by the client's grant and package policy, how it is signed by packages
// token and keys, and how a revocation is stored by package admin.
//
// A walk through the token endpoint begins at [Handler.Token]; its steps are
// numbered. A new grant is one file with one type and one row in the table of
// grant.go: the steps around it can't be forgotten.
//
// Every decision leaves one audit event with the request's id. A token's event is
// durable before the token leaves.
//
// It knows no users, gives no refresh tokens, has no authorization endpoint and
// no CORS: its callers are programs.
//
// Layer 6. Entry point: [New].
package oauth
