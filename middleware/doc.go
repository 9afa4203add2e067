// Package middleware keeps callers out of net/http handlers who may not come in.
//
// [Authenticate] verifies the tokens of a request and puts the caller into the
// context; after it, one middleware per question decides:
//
//	middleware.Chain(handler,
//		middleware.Authenticate(verifier),
//		middleware.AllowedServices("document-service"))
//
// # Where tokens come from
//
//	Authorization: Bearer TOKEN            the user's token, or the service's when no user is involved
//	Service-Authorization: Bearer TOKEN    the calling service's token, beside a user's token
//
// Each header may come once, with the Bearer scheme and one token. Both tokens are
// verified in full: a bad second token is refused like a bad first one, and so is
// every other combination: a service's token in both headers, a user's token in
// Service-Authorization, Service-Authorization alone. A user's token with an actor
// (token exchange) is a user's token.
//
// # What a refused caller gets
//
// 400 for a header that came twice or can't be read, 401 with WWW-Authenticate for no
// or a bad token, 403 for a caller who may not, 503 with Retry-After when keys or the
// revocation state can't be had. The body is {"error", "request_id"}; the request id is
// also the id of the decision that a [countersign.Recorder] gets. "reason" is added
// only by [WithExposeReasons]. The words are RFC 6750 §3.1, and service_not_allowed.
//
// # What is recorded
//
// Each denial when it happens. An allowed call once, when the handler has returned and
// no middleware denied it, so that middlewares may stand anywhere below Authenticate
// (also inside a mux) and in any number.
//
// # What it does not do
//
// It doesn't open sessions of temporary credentials, knows no route policies, limits
// no rates and leaves the headers in the request. A middleware that stands without
// Authenticate finds nobody in the context and denies.
//
// Layer 3.
package middleware
