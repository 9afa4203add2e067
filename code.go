package countersign

// Code classes an error. Every error that leaves Countersign has exactly one. A
// front door turns it into its own wire words in one table; below a front door
// there are no status numbers and no protocol strings.
//
// Code implements error, so errors.Is(err, countersign.Denied) asks for the class
// of any error in a chain.
type Code string

// The codes. A chain of errors with none of them counts as [Internal].
const (
	// Invalid: the request is malformed: a missing, doubled or unparsable value.
	Invalid Code = "invalid"
	// BadHeader: the Authorization header can't be parsed.
	BadHeader Code = "bad_header"
	// Unsupported: the operation or grant is not one that we serve.
	Unsupported Code = "unsupported"
	// Unauthenticated: no credentials came with the request.
	Unauthenticated Code = "unauthenticated"
	// BadClient: an unknown or disabled client, or a wrong secret; never told apart.
	BadClient Code = "bad_client"
	// BadSignature: a request signature or client assertion does not verify.
	BadSignature Code = "bad_signature"
	// BadToken: a token is malformed, forged, not for us or not from a trusted issuer.
	BadToken Code = "bad_token"
	// Expired: a token was good once.
	Expired Code = "expired"
	// Skewed: a signed time is too far from ours.
	Skewed Code = "skewed"
	// BodyMismatch: the body is not the one that was signed.
	BodyMismatch Code = "body_mismatch"
	// Denied: we know who it is, and they may not.
	Denied Code = "denied"
	// BadScope: a scope that is unknown, malformed or not granted.
	BadScope Code = "bad_scope"
	// BadTarget: an audience that is missing, malformed or not granted.
	BadTarget Code = "bad_target"
	// BadPolicy: a policy document that is not fully understood.
	BadPolicy Code = "bad_policy"
	// TooLarge: a body, header or value is over its limit.
	TooLarge Code = "too_large"
	// NotFound: there is no such object.
	NotFound Code = "not_found"
	// Conflict: the object exists already, or changed meanwhile.
	Conflict Code = "conflict"
	// Precondition: a write came without saying which revision it changes.
	Precondition Code = "precondition"
	// Throttled: too many requests; try again later.
	Throttled Code = "throttled"
	// Upstream: somebody else's server failed or could not be reached.
	Upstream Code = "upstream"
	// Unavailable: we can't answer safely now (store down, disk full); try again later.
	Unavailable Code = "unavailable"
	// Internal: everything else. The cause is logged and never sent.
	Internal Code = "internal"
)

// Error implements error.
func (c Code) Error() string { return string(c) }

// Codes returns every code, for tests that hold a table against the whole list.
func Codes() []Code {
	return []Code{
		Invalid, BadHeader, Unsupported, Unauthenticated, BadClient, BadSignature, BadToken,
		Expired, Skewed, BodyMismatch, Denied, BadScope, BadTarget, BadPolicy, TooLarge,
		NotFound, Conflict, Precondition, Throttled, Upstream, Unavailable, Internal,
	}
}
