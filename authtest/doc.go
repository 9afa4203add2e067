// Package authtest gives tests a whole Countersign in one line: the real server, on
// SQLite in a temporary folder, on loopback ports of its own, with a clock that the
// test moves. Nothing in it is a fake, so a test that passes here passes outside.
//
//	srv := authtest.New(t)
//	caller := srv.CreateService("document-service", authtest.Service{Audiences: []string{"parse-service"}})
//
// [UserIssuer] is the other half: a foreign OIDC issuer that signs users in. [AWSSTS] is a
// double of AWS's STS that verifies signatures and tokens as AWS does, for logins with an
// AWS identity and for credentials of a real AWS account.
//
// It does not import testing: it takes [TB], which *testing.T and *testing.B have.
//
// Layer 8.
package authtest
