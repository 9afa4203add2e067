// Package tokensource obtains the tokens that a service shows when it calls others.
//
// [ClientCredentials] is what most services use: it asks a token endpoint by the
// client credentials grant (RFC 6749 §4.4) and caches by itself:
//
//	source := &tokensource.ClientCredentials{
//		TokenURL:     "https://auth.example.com/oauth2/token",
//		ClientID:     "document-service",
//		ClientSecret: secret,
//	}
//	defer source.Close()
//	token, err := source.Token(ctx, "parse-service")
//
// It proves the service by a secret or, with PrivateKeyFile, by a signed assertion
// (RFC 7523), so that no secret is shared. [Cognito] signs a service account in to an
// Amazon Cognito user pool instead.
//
// [File] reads a token that something else keeps fresh (a Kubernetes projected token,
// an agent), [SourceFunc] makes a source of a function. Package transport puts the
// tokens of a source on outgoing requests.
//
// # The cache of ClientCredentials and Cognito
//
//	key        token endpoint, client, scopes and audience (the first three are the
//	           source itself; a Cognito account has the same token for every audience)
//	bound      256 audiences; the one that was used longest ago goes first
//	life       until the token expires, at most 24 hours
//	refresh    in the background at about 80 % of the life, when a token is asked for;
//	           nobody who can be given a valid token waits. One request in flight a key
//	failure    the last good token is given until it expires; new attempts back off from
//	           1 second to 1 minute (30 seconds to 5 minutes when the client itself is
//	           refused), or as long as Retry-After says, up to 5 minutes
//
// There are no timers: a source that nobody asks does nothing.
//
// # What it does not do
//
// It doesn't verify the tokens that it gets, attaches nothing to requests, and keeps
// nothing on disk.
//
// Layer 2.
package tokensource
