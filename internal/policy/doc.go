// Package policy decides what a service may ask for: the form of names, scopes and
// audiences (RFC 6749 §3.3, RFC 8707 §2), whether a request stays within what was
// granted, which one audience a token gets, and what only a super-admin may grant
// (RULES A7, B1).
//
// Every function is pure: no I/O, no clock, no state; all are safe for concurrent
// use. It knows nothing of tokens, requests or stores. Start with [ParseScope],
// [Granted] and [ChooseAudience] for a token request, and with [ParseName],
// [Reserved], [SuperAdminScope] and [SuperAdminAudience] for a registration.
//
// Layer 2.
package policy
