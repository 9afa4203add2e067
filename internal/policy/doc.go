// Package policy decides what somebody may ask for and do: the form of names, scopes and
// audiences (RFC 6749 §3.3, RFC 8707 §2), whether a request stays within what was granted,
// which one audience a token gets, what only a super-admin may grant (RULES A7, B1); what a
// role lets do with the keys of a bucket (RULES D2, D3), and how far a session policy
// narrows that (RULES D7), for us and for AWS (RULES D9).
//
// Every function is pure: no I/O, no clock, no state; all are safe for concurrent use. It
// knows nothing of tokens, requests or stores. Start with [ParseScope], [Granted] and
// [ChooseAudience] for a token request; with [ParseName], [Reserved], [SuperAdminScope] and
// [SuperAdminAudience] for a registration; with [CompilePermissions] for a role, whose
// result is resolved with the values of a session and asked with Allow; with
// [ParseSessionPolicy] for the Policy parameter of the STS.
//
// Layer 2.
package policy
