package audit

import "time"

// Decision is the kind of verdict that an event tells of. The list is closed.
type Decision string

// The decisions.
const (
	Issued  Decision = "issued"  // a token was minted
	Refused Decision = "refused" // a token or an administrative change was refused
	Allowed Decision = "allowed" // a call was let in
	Denied  Decision = "denied"  // a call was kept out
	Changed Decision = "changed" // the state was changed by an administrator
)

// MaxField is the longest string of an event, in bytes of UTF-8. Longer ones are cut
// at a character's end; bytes that are not UTF-8 become U+FFFD.
const MaxField = 512

// Actions of events that this package writes itself.
const (
	// ActionDropped: events were lost because the queue was full; Count says how many.
	ActionDropped = "audit.dropped"
	// ActionChain: the stored chain was not as this process or a signed head knew it.
	ActionChain = "audit.chain"
	// ActionRefusals stands for refusals of more kinds at once than are kept apart, of
	// any action and reason; Count says how many.
	ActionRefusals = "audit.refusals"
)

// Event is one audit event. It never holds a secret or a token. Empty fields are
// left out of the JSON. Strings are bounded by [MaxField] bytes: longer ones are cut.
type Event struct {
	// ID is the request id (UUID version 7): what a refused caller was told. "" = a
	// fresh one is made.
	ID string `json:"id"`
	// Time of the decision, stored in UTC with microseconds. Zero, before 1970 or after
	// 9999 = now.
	Time time.Time `json:"time"`
	// Action is what was asked for: "token", "introspect", "revoke", "service.create",
	// "call", "audit.verify", "key.create", "server.start", …
	Action   string   `json:"action"`
	Decision Decision `json:"decision"`
	// Reason is a countersign.Reason.
	Reason string `json:"reason"`
	// Service is the calling service, ServiceUID its immutable id.
	Service    string `json:"service,omitempty"`
	ServiceUID string `json:"service_uid,omitempty"`
	// UserIssuer and User are the pair that names a user.
	UserIssuer string `json:"user_issuer,omitempty"`
	User       string `json:"user,omitempty"`
	// Actor is who administers: "local:UID", "service:NAME", "user:ISSUER|SUBJECT".
	Actor string `json:"actor,omitempty"`
	// Target is what it is about: the audience of a token, the receiver of a call, the
	// name of the changed object.
	Target string `json:"target,omitempty"`
	// Scope is the granted (or refused) scope, space-delimited.
	Scope string `json:"scope,omitempty"`
	// Role is the role of a session, Session its access key id.
	Role    string `json:"role,omitempty"`
	Session string `json:"session,omitempty"`
	// TokenID is the jti of the token that was issued, used or revoked.
	TokenID string `json:"token_id,omitempty"`
	// Proof is how the caller proved itself: client_secret_basic, client_secret_post,
	// jwt, unix_socket.
	Proof string `json:"proof,omitempty"`
	// ClientAddr is the peer's address without the port.
	ClientAddr string `json:"client_addr,omitempty"`
	TraceID    string `json:"trace_id,omitempty"`
	// Method and Route of the call at a receiver; Rule names what decided.
	Method string `json:"method,omitempty"`
	Route  string `json:"route,omitempty"`
	Rule   string `json:"rule,omitempty"`
	// ReportedBy is the receiving service that reported the event; "" = we saw it.
	ReportedBy string `json:"reported_by,omitempty"`
	// Count is how many decisions this event stands for; 0 and 1 = one.
	Count int64 `json:"count,omitempty"`
	// Detail holds what an administrative change did, as safe words.
	Detail string `json:"detail,omitempty"`
}
