// Package transport puts the tokens of a calling service, and of the user that it
// calls for, on outgoing requests:
//
//	client := &http.Client{Transport: &transport.Transport{
//		Source:    source,
//		Audiences: map[string]string{"parse.internal": "parse-service"},
//	}}
//
// The service's token comes from a [tokensource.Source], one per receiver, whose name
// stands in Audiences. The user's token comes from the request's context
// ([countersign.WithUserToken]; package middleware puts it there for users that it let
// in), never from a global.
//
// # Where tokens go
//
// Tokens go to the hosts of Audiences and nowhere else: https to exactly that host and
// port, plain http only to a host written as a loopback. Any other request is an error
// before anything is sent. A redirect is an error too: no token is sent again on one,
// not even to a listed host. To print a request, use [DumpRequest] or [Redact].
//
// # What it does not do
//
// It doesn't verify tokens, retry requests or change the caller's request. An
// httptrace.ClientTrace in the request's context sees the headers as they are sent.
//
// Layer 3.
package transport
