// Package iamclient is the IAM API as its callers see it: the JSON documents of
// /api/iam/v1 as Go types, and a [Client] that calls it over the Unix socket of a
// server on this machine or at a base URL. The command line, the demo and authtest
// use the client; front door iam speaks the same documents.
//
// Errors come back as *countersign.Error with the code that the server gave, so
// that a caller asks errors.Is(err, countersign.NotFound) on either side of the wire.
//
// It does not authenticate: over the Unix socket the peer's uid does that; at a base
// URL [Config.HTTPClient] brings the credentials. It never retries and follows no
// redirect. Secrets in documents are countersign.Secret: encoding one shows nothing,
// and [Credentials.RevealJSON] is the one way to write a new secret out.
//
// Layer 2.
package iamclient
