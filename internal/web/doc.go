// Package web is the HTTP plumbing under every front door: it gives each request an
// id and a client address, refuses foreign Hosts, bounds what is under way, writes the
// access log, turns returned errors and panics into answers, reads bodies strictly, and
// runs the http.Server with its limits.
//
// A listener is built in two steps: [Handle] makes an http.Handler of each [Handler],
// and [Wrap] goes once around the mux that holds them. [Serve] then runs it.
//
// # What it decides
//
// Whether a request is looked at at all: the Host (RULES G7), the number of requests
// under way, the size and form of a body (application/x-www-form-urlencoded, JSON),
// and which hop of X-Forwarded-For is the client (RULES G8). Its own refusals are JSON,
// {"error","request_id"}; everything else is in the words of the front door.
//
// # What it does not do
//
// It knows no callers, tokens or grants, and no status of an error: the front doors'
// error tables do. It never logs a query string, a header or a body.
//
// # What it keeps
//
// A [Limiter] holds at most a fixed number of keys and drops the least recently used;
// [Certificates] holds one pair;
// Wrap counts the requests under way by address. Everything else lives as long as its request.
//
// Layer 1.
package web
